/*
 * idmap: the map for 64-bit ids; the slots are the same in kind, but hold the id itself. Removal
 * and walk work as in map.c. The hash mixes in a number that each process draws at its start.
 */
#include <bsd/stdlib.h>

#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/memory.h"

enum { IDMAP_FIRST_SIZE = 16 };

struct idmap_slot {
	uint64_t id; /* 0: empty */
	void *value;
};

struct idmap {
	struct idmap_slot *slots; /* NULL until the first put */
	uint32_t mask;		  /* slots - 1 */
	uint32_t count;
};

static uint64_t process_seed;

__attribute__((constructor)) static void draw_seed(void)
{
	arc4random_buf(&process_seed, sizeof(process_seed));
}

/* The slot where a search for id begins: MurmurHash3's finaliser of id under the seed. */
static uint32_t home_of(const struct idmap *m, uint64_t id)
{
	uint64_t h = id ^ process_seed;
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(h ^ h >> 33) & m->mask;
}

struct idmap *idmap_new(void)
{
	return memory_zero(1, sizeof(struct idmap));
}

void idmap_free(struct idmap **m)
{
	if (!*m)
		return;
	memory_free((*m)->slots);
	memory_free(*m);
	*m = NULL;
}

size_t idmap_count(const struct idmap *m)
{
	return m->count;
}

/* The slot of id, or the empty one where it would be put. */
static struct idmap_slot *find(const struct idmap *m, uint64_t id)
{
	uint32_t at = home_of(m, id);
	while (m->slots[at].id != id && m->slots[at].id != 0)
		at = (at + 1) & m->mask;
	return &m->slots[at];
}

static void grow(struct idmap *m)
{
	struct idmap_slot *old = m->slots;
	uint32_t old_size = old ? m->mask + 1 : 0;
	if (old_size > UINT32_MAX / 2)
		panic("idmap: over %u slots", old_size);
	uint32_t size = old ? old_size * 2 : IDMAP_FIRST_SIZE;
	m->slots = memory_zero(size, sizeof(*old));
	m->mask = size - 1;
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i].id != 0)
			*find(m, old[i].id) = old[i];
	memory_free(old);
}

void *idmap_get(const struct idmap *m, uint64_t id)
{
	return m->count > 0 && id != 0 ? find(m, id)->value : NULL;
}

void *idmap_put(struct idmap *m, uint64_t id, void *value)
{
	if (!value || id == 0)
		panic("idmap: no value, or the id 0");
	if (!m->slots || ((uint64_t)m->count + 1) * 4 > ((uint64_t)m->mask + 1) * 3)
		grow(m);
	struct idmap_slot *slot = find(m, id);
	void *former = slot->value;
	m->count += !former;
	*slot = (struct idmap_slot){id, value};
	return former;
}

void *idmap_remove(struct idmap *m, uint64_t id)
{
	struct idmap_slot *slot = m->count > 0 && id != 0 ? find(m, id) : NULL;
	void *former = slot ? slot->value : NULL;
	if (!former)
		return NULL;
	uint32_t hole = (uint32_t)(slot - m->slots);
	for (uint32_t at = (hole + 1) & m->mask; m->slots[at].id; at = (at + 1) & m->mask) {
		uint32_t home = home_of(m, m->slots[at].id);
		if (((at - home) & m->mask) < ((at - hole) & m->mask))
			continue; /* its search does not pass the hole */
		m->slots[hole] = m->slots[at];
		hole = at;
	}
	m->slots[hole] = (struct idmap_slot){0};
	m->count--;
	return former;
}

/* *at: the slot walked last, and in the upper half the empty slot where the walk began, plus 1. */
bool idmap_next(const struct idmap *m, size_t *at, uint64_t *id, void **value)
{
	uint32_t place = (uint32_t)*at, start = 0;
	if (m->count == 0)
		return false;
	if (*at == 0) {
		while (m->slots[start].id)
			start++;
		place = start;
	} else {
		start = (uint32_t)(*at >> 32) - 1;
	}
	for (;;) {
		place = (place - 1) & m->mask;
		*at = ((uint64_t)start + 1) << 32 | place;
		const struct idmap_slot *slot = &m->slots[place];
		if (place == start)
			break;
		if (slot->id == 0)
			continue;
		*id = slot->id;
		*value = slot->value;
		return true;
	}
	return false;
}
