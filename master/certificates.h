/*
 * certificates: the files of `tls`: certificates go to the daemons that speak TLS, private keys to
 * keys alone. They are watched as tables are, and passed again when they change.
 */
#ifndef MASTER_CERTIFICATES_H
#define MASTER_CERTIFICATES_H

#include "common/base/error.h"
#include "common/config/config.h"

struct certificates;

/* code 66 (EX_NOINPUT): one can't be opened. code 78 (EX_CONFIG): the certificate's file holds a
 * private key too, which would give it to all that speak TLS. */
bool certificates_open(const struct config *config, struct certificates **c, struct error *e);
void certificates_free(struct certificates **c);

/* detail: "certificate" or "key". fd stays the files'. */
typedef void certificates_call(void *arg, const char *path, const char *detail, int fd);
void certificates_each(const struct certificates *c, certificates_call *call, void *arg);
void certificates_look(struct certificates *c, certificates_call *call, void *arg);

#endif
