/*
 * findings: what a check of the configuration finds, printed.
 */
#ifndef COMMANDS_STAGEPOST_FINDINGS_H
#define COMMANDS_STAGEPOST_FINDINGS_H

#include <stdio.h>

#include "common/config/config.h"

struct findings {
	FILE *to;
	unsigned errors, warnings;
};

/* Prints each on a line: place, error or warning, text. Returns the code of config_check(), or that
 * of config_check_pairs() when the former is 0. */
int findings_print(const struct config *config, struct findings *f);
/* Those of certificates and keys alone, which the master of a server that runs does not look at. */
int findings_print_pairs(const struct config *config, struct findings *f);

#endif
