/*
 * arena: a chain of blocks, each cut from its front. A block is twice as large as the one before
 * it, up to ARENA_BLOCK_MAX, or as large as what did not fit. Sizes are rounded up to the strictest
 * alignment and count so against the limit; the last allocation may use the limit's odd rest.
 */
#include <stdalign.h>

#include "common/base/arena.h"
#include "common/base/memory.h"

/* The first block with its head stays under 1 KiB, which malloc keeps at hand for each thread. */
enum { ARENA_BLOCK_MIN = 960, ARENA_BLOCK_MAX = 32 * 1024, ARENA_ALIGN = alignof(max_align_t) };

struct arena_block {
	struct arena_block *older;
	size_t used, size; /* of data */
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t limit)
{
	*a = (struct arena){.limit = limit};
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
	size_t size = a->blocks ? a->blocks->size * 2 : ARENA_BLOCK_MIN;
	if (size > ARENA_BLOCK_MAX)
		size = ARENA_BLOCK_MAX;
	if (size < need)
		size = need;
	struct arena_block *block = memory_get(sizeof(*block) + size);
	*block = (struct arena_block){.older = a->blocks, .size = size};
	a->blocks = block;
	return block;
}

void *arena_get(struct arena *a, size_t size)
{
	if (size == 0)
		size = 1;
	if (size > a->limit - a->used || size > SIZE_MAX / 2)
		return NULL;
	size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	struct arena_block *block = a->blocks;
	if (!block || rounded > block->size - block->used)
		block = add_block(a, rounded);
	void *ptr = block->data + block->used;
	block->used += rounded;
	a->used = rounded < a->limit - a->used ? a->used + rounded : a->limit;
	return ptr;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *ptr = s.len < SIZE_MAX ? arena_get(a, s.len + 1) : NULL;
	if (!ptr)
		return SLICE_EMPTY;
	if (s.len > 0)
		memcpy(ptr, s.ptr, s.len);
	ptr[s.len] = '\0';
	return slice_make(ptr, s.len);
}

void arena_reset(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *older = a->blocks->older;
		memory_free(a->blocks);
		a->blocks = older;
	}
	a->used = 0;
}

void arena_free(struct arena *a)
{
	arena_reset(a);
}
