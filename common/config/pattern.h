/*
 * pattern: whom an `outbound from` or `outbound to` means: an address, a domain, .domain for all
 * that is below it, or a table of these.
 */
#ifndef COMMON_CONFIG_PATTERN_H
#define COMMON_CONFIG_PATTERN_H

#include "common/base/slice.h"

/* NULL, or what is wrong with it; a table's spec is not judged. */
const char *pattern_fault(struct slice text);
/* Is it the spec of a table, KIND:REST? */
bool pattern_is_table(struct slice text);

#endif
