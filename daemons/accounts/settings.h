/*
 * settings: what the master says of the configuration, and the tables' files.
 */
#ifndef DAEMONS_ACCOUNTS_SETTINGS_H
#define DAEMONS_ACCOUNTS_SETTINGS_H

#include "common/service/service.h"

/* As struct service calls them. */
extern const struct record *const settings_wanted[];
void settings_begin(void);
void settings_take(const struct record *record, const void *value);
void settings_end(void);
void settings_descriptor(const struct service_descriptor *d);

#endif
