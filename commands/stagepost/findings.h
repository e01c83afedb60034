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

/* Prints each on a line: place, error or warning, text. Returns the code of config_check(). */
int findings_print(const struct config *config, struct findings *f);

#endif
