/*
 * settings: what the configuration says about the log.
 */
#ifndef DAEMONS_LOG_SETTINGS_H
#define DAEMONS_LOG_SETTINGS_H

#include "common/base/record.h"

void settings_take(const struct record *record, const void *value);

#endif
