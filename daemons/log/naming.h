/*
 * naming: what the configuration says about the log.
 */
#ifndef DAEMONS_LOG_NAMING_H
#define DAEMONS_LOG_NAMING_H

#include "common/base/record.h"

void naming_setting(const struct record *record, const void *value);

#endif
