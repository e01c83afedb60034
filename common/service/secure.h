/*
 * secure: TLS of a daemon that serves strangers (smtpd, submission, pop3d): certificates from the
 * master, signatures and ticket keys from keys. A certificate is used as soon as keys has its key;
 * until then, and when a new one is bad, the old one is.
 */
#ifndef COMMON_SERVICE_SECURE_H
#define COMMON_SERVICE_SECURE_H

#include "common/base/log.h"
#include "common/net/tls_server.h"
#include "common/service/service.h"

/* Settings: tls and certificate records; all else is ignored. Call these from the daemon's own. */
void secure_settings_begin(void);
void secure_setting(const struct record *record, const void *value);
void secure_settings_end(void);
/* Was it a certificate? Then it is taken, and the descriptor closed. */
bool secure_descriptor(const struct service_descriptor *d);
void secure_warm(const char *role);

/* Can TLS be offered now? */
bool secure_ready(void);
/* As tls_server_start(). */
bool secure_start(struct stream *s);
/* What the event `secured` says of a stream that has been (daemons/log/README.md). */
void secure_log(const struct stream *s, struct log_line *line);

extern const struct route secure_routes[]; /* of the link to keys */
void secure_up(struct channel *c, unsigned instance);
void secure_down(struct channel *c);

#endif
