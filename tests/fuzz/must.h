/*
 * must: what holds whatever the input is; else the target ends, and says where.
 */
#ifndef TESTS_FUZZ_MUST_H
#define TESTS_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(holds) ((holds) ? (void)0 : must_not(__FILE__, __LINE__, #holds))

static inline void must_not(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

#endif
