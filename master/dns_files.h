/*
 * dns_files: what says how the DNS is asked beside the configuration: /etc/resolv.conf and the
 * trust anchor. They are watched as tables are, and passed to the resolver again when they change.
 */
#ifndef MASTER_DNS_FILES_H
#define MASTER_DNS_FILES_H

#include "common/base/error.h"
#include "common/config/config.h"

struct dns_files;

/* code 66 (EX_NOINPUT): the trust anchor can't be opened. A resolv.conf that is not there is none,
 * until it is. */
bool dns_files_open(const struct config *config, struct dns_files **d, struct error *e);
void dns_files_free(struct dns_files **d);

/* detail: resolv.conf or anchor. fd stays the files'. */
typedef void dns_files_call(void *arg, const char *path, const char *detail, int fd);
void dns_files_each(const struct dns_files *d, dns_files_call *call, void *arg);
void dns_files_look(struct dns_files *d, dns_files_call *call, void *arg); /* those that are new */

#endif
