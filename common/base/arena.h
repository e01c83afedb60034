/*
 * arena: memory for one transaction, given back whole. An allocation over the arena's limit
 * returns NULL, so that one transaction's memory is bounded by a number.
 */
#ifndef COMMON_BASE_ARENA_H
#define COMMON_BASE_ARENA_H

#include "common/base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;		    /* octets handed out since the last reset */
	size_t limit;		    /* of used */
};

void arena_init(struct arena *a, size_t limit);
void *arena_get(struct arena *a,
		size_t size); /* aligned for any type, uninitialised; NULL: limit */
/* A copy of s, NUL-terminated behind its end; ptr NULL at the limit. */
struct slice arena_copy(struct arena *a, struct slice s);
void arena_reset(struct arena *a); /* keeps no memory: idle sessions own none */
void arena_free(struct arena *a);

#endif
