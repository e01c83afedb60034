/*
 * bases: the directories that virtual mailboxes lie below, which the master has opened, and which
 * the daemon hands on. It has no right to open anything by them.
 */
#ifndef DAEMONS_MAILDROP_BASES_H
#define DAEMONS_MAILDROP_BASES_H

#include "common/service/service.h"

/* As struct service calls them. */
void bases_settings_begin(void);
void bases_settings_end(void);
void bases_descriptor(const struct service_descriptor *d);
/* All that the first set of settings has is there. */
void bases_warm(void);

/* -1: there is none of that name. It stays ours. */
int bases_find(struct slice name);

#endif
