/*
 * map: open addressing with linear probing, a power of two of slots, at most 3/4 full. A removal
 * moves later entries of its run back instead of leaving a mark, so old maps stay as fast as new
 * ones. A walk begins below an empty slot and goes downwards: what a removal moves has been walked.
 */
#include <bsd/stdlib.h>

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/memory.h"

enum { MAP_FIRST_SIZE = 16 };

struct map_slot {
	void *value; /* NULL: empty */
	const char *key;
	uint32_t key_len, hash;
};

struct map {
	struct map_slot *slots; /* NULL until the first put */
	uint32_t mask;		/* slots - 1 */
	uint32_t count;
};

static uint8_t process_key[16];

__attribute__((constructor)) static void draw_key(void)
{
	arc4random_buf(process_key, sizeof(process_key));
}

static uint32_t hash_of(struct slice key)
{
	return (uint32_t)siphash(process_key, key.ptr, key.len);
}

struct map *map_new(void)
{
	return memory_zero(1, sizeof(struct map));
}

void map_free(struct map **m)
{
	if (!*m)
		return;
	memory_free((*m)->slots);
	memory_free(*m);
	*m = NULL;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

/* The slot of the key, or the empty one where it would be put. */
static struct map_slot *find(const struct map *m, struct slice key, uint32_t hash)
{
	for (uint32_t at = hash & m->mask;; at = (at + 1) & m->mask) {
		struct map_slot *slot = &m->slots[at];
		if (!slot->value)
			return slot;
		if (slot->hash == hash && slice_equal(slice_make(slot->key, slot->key_len), key))
			return slot;
	}
}

static void grow(struct map *m)
{
	struct map_slot *old = m->slots;
	uint32_t old_size = old ? m->mask + 1 : 0;
	if (old_size > UINT32_MAX / 2)
		panic("map: over %u slots", old_size);
	uint32_t size = old ? old_size * 2 : MAP_FIRST_SIZE;
	m->slots = memory_zero(size, sizeof(*old));
	m->mask = size - 1;
	for (uint32_t i = 0; i < old_size; i++) {
		if (!old[i].value)
			continue;
		uint32_t at = old[i].hash & m->mask;
		while (m->slots[at].value)
			at = (at + 1) & m->mask;
		m->slots[at] = old[i];
	}
	memory_free(old);
}

void *map_get(const struct map *m, struct slice key)
{
	return m->count > 0 ? find(m, key, hash_of(key))->value : NULL;
}

void *map_put(struct map *m, struct slice key, void *value)
{
	if (!value || key.len > UINT32_MAX)
		panic("map: no value, or a key of %zu octets", key.len);
	if (!m->slots || ((uint64_t)m->count + 1) * 4 > ((uint64_t)m->mask + 1) * 3)
		grow(m);
	uint32_t hash = hash_of(key);
	struct map_slot *slot = find(m, key, hash);
	void *former = slot->value;
	m->count += !former;
	*slot = (struct map_slot){value, key.ptr, (uint32_t)key.len, hash};
	return former;
}

void *map_remove(struct map *m, struct slice key)
{
	struct map_slot *slot = m->count > 0 ? find(m, key, hash_of(key)) : NULL;
	void *former = slot ? slot->value : NULL;
	if (!former)
		return NULL;
	uint32_t hole = (uint32_t)(slot - m->slots);
	for (uint32_t at = (hole + 1) & m->mask; m->slots[at].value; at = (at + 1) & m->mask) {
		uint32_t home = m->slots[at].hash & m->mask;
		if (((at - home) & m->mask) < ((at - hole) & m->mask))
			continue; /* its search does not pass the hole */
		m->slots[hole] = m->slots[at];
		hole = at;
	}
	m->slots[hole].value = NULL;
	m->count--;
	return former;
}

/* *at: the slot walked last, and in the upper half the empty slot where the walk began, plus 1. */
bool map_next(const struct map *m, size_t *at, struct slice *key, void **value)
{
	uint32_t place = (uint32_t)*at, start = 0;
	if (m->count == 0)
		return false;
	if (*at == 0) {
		while (m->slots[start].value)
			start++;
		place = start;
	} else {
		start = (uint32_t)(*at >> 32) - 1;
	}
	for (;;) {
		place = (place - 1) & m->mask;
		*at = ((uint64_t)start + 1) << 32 | place;
		const struct map_slot *slot = &m->slots[place];
		if (place == start)
			break;
		if (!slot->value)
			continue;
		*key = slice_make(slot->key, slot->key_len);
		*value = slot->value;
		return true;
	}
	return false;
}
