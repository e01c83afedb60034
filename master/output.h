/*
 * output: where the log goes: standard error, a file, or the system's logger.
 */
#ifndef MASTER_OUTPUT_H
#define MASTER_OUTPUT_H

#include "common/base/error.h"
#include "common/config/config.h"

/* A descriptor for the log daemon, of the settings' log record, and its kind (the target). code 71:
 * it can't be opened. The caller closes it. */
bool output_open(const struct config *config, int *fd, char target[KIND_MAX + 1], struct error *e);

#endif
