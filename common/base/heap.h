/*
 * heap: an intrusive binary heap, smallest key first. A node lives inside what it orders and knows
 * its place, so removal is logarithmic.
 */
#ifndef COMMON_BASE_HEAP_H
#define COMMON_BASE_HEAP_H

#include "common/base/slice.h"

struct heap_node {
	uint64_t key;
	uint32_t at; /* place + 1; 0: in no heap */
};

struct heap {
	struct heap_node **nodes;
	uint32_t count, size;
};

void heap_init(struct heap *h);
void heap_free(struct heap *h);
void heap_insert(struct heap *h, struct heap_node *n, uint64_t key); /* n is in no heap */
void heap_remove(struct heap *h, struct heap_node *n);		     /* fine when in none */
void heap_move(struct heap *h, struct heap_node *n, uint64_t key);   /* inserts or re-keys */
struct heap_node *heap_first(const struct heap *h);		     /* NULL: empty */

/* The struct that holds a node (or any member). */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
