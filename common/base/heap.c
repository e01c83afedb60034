/*
 * heap: an array of pointers in which no node's key is smaller than that of its parent, the node
 * at (place - 1) / 2. Nodes with equal keys come in any order. A node that moves writes its new
 * place down, so that it can be found again without a search.
 */
#include "common/base/error.h"
#include "common/base/heap.h"
#include "common/base/memory.h"

enum { HEAP_FIRST_SIZE = 64 };

void heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void heap_free(struct heap *h)
{
	for (uint32_t i = 0; i < h->count; i++)
		h->nodes[i]->at = 0;
	memory_free(h->nodes);
	heap_init(h);
}

static void set(struct heap *h, uint32_t place, struct heap_node *n)
{
	h->nodes[place] = n;
	n->at = place + 1;
}

/* Finds n's place on the way up from the hole at `place`. */
static void rise(struct heap *h, uint32_t place, struct heap_node *n)
{
	while (place > 0) {
		uint32_t parent = (place - 1) / 2;
		if (h->nodes[parent]->key <= n->key)
			break;
		set(h, place, h->nodes[parent]);
		place = parent;
	}
	set(h, place, n);
}

/* Finds n's place on the way down from the hole at `place`. */
static void sink(struct heap *h, uint32_t place, struct heap_node *n)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)place + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
			child++;
		if (n->key <= h->nodes[child]->key)
			break;
		set(h, place, h->nodes[child]);
		place = (uint32_t)child;
	}
	set(h, place, n);
}

static void settle(struct heap *h, uint32_t place, struct heap_node *n)
{
	if (place > 0 && n->key < h->nodes[(place - 1) / 2]->key)
		rise(h, place, n);
	else
		sink(h, place, n);
}

void heap_insert(struct heap *h, struct heap_node *n, uint64_t key)
{
	if (n->at != 0)
		panic("heap: a node was inserted twice");
	if (h->count == h->size) {
		if (h->size > UINT32_MAX / 2)
			panic("heap: over %u nodes", h->size);
		h->size = h->size ? h->size * 2 : HEAP_FIRST_SIZE;
		h->nodes = memory_resize(h->nodes, h->size, sizeof(h->nodes[0]));
	}
	n->key = key;
	rise(h, h->count++, n);
}

/* The place of a node that must be in this heap. */
static uint32_t place_of(const struct heap *h, const struct heap_node *n)
{
	if (n->at > h->count || h->nodes[n->at - 1] != n)
		panic("heap: a node of another heap");
	return n->at - 1;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	if (n->at == 0)
		return;
	uint32_t place = place_of(h, n);
	struct heap_node *last = h->nodes[--h->count];
	n->at = 0;
	if (last != n)
		settle(h, place, last);
}

void heap_move(struct heap *h, struct heap_node *n, uint64_t key)
{
	if (n->at == 0) {
		heap_insert(h, n, key);
		return;
	}
	uint32_t place = place_of(h, n);
	n->key = key;
	settle(h, place, n);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->count > 0 ? h->nodes[0] : NULL;
}
