/*
 * settings: from the configuration and the files that the master passes to how the DNS is asked.
 */
#ifndef DAEMONS_RESOLVER_SETTINGS_H
#define DAEMONS_RESOLVER_SETTINGS_H

#include "common/service/service.h"

enum { ANCHOR_MAX = 64 * 1024 }; /* octets of the trust anchor's file */

extern const struct record *const resolver_settings[];
void resolver_settings_begin(void);
void resolver_setting(const struct record *record, const void *value);
void resolver_settings_end(void);
/* /etc/resolv.conf and the trust anchor: detail says which; again when one has changed. */
void resolver_descriptor(const struct service_descriptor *d);
/* What libunbound loads late, before the sandbox. */
void resolver_warm(void);
/* From here on what is new is taken into use. */
void resolver_start(void);

#endif
