/*
 * content: an entry is {length of the value, value, key} in the arena; the map's key points into
 * it and the map's value is the entry. With a million entries that is some 40 octets each beside
 * their text.
 */
#include "common/base/arena.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/table/content.h"
#include "common/table/table.h"

struct content {
	unsigned holders;
	struct arena arena;
	struct map *map;
};

struct entry {
	uint32_t value_len;
	char text[]; /* the value, then the key */
};

struct content *content_new(void)
{
	struct content *c = memory_zero(1, sizeof(*c));
	c->holders = 1;
	arena_init(&c->arena, CONTENT_MAX);
	c->map = map_new();
	return c;
}

struct content *content_hold(struct content *c)
{
	c->holders++;
	return c;
}

void content_release(struct content **c)
{
	struct content *gone = *c;
	*c = NULL;
	if (!gone || --gone->holders > 0)
		return;
	map_free(&gone->map);
	arena_free(&gone->arena);
	memory_free(gone);
}

enum content_added content_add(struct content *c, struct slice key, struct slice value)
{
	if (map_get(c->map, key))
		return CONTENT_TWICE;
	if (map_count(c->map) >= TABLE_ENTRIES_MAX || value.len > TABLE_LINE_MAX)
		return CONTENT_FULL;
	struct entry *entry = arena_get(&c->arena, sizeof(*entry) + value.len + key.len);
	if (!entry)
		return CONTENT_FULL;
	entry->value_len = (uint32_t)value.len;
	if (value.len > 0)
		memcpy(entry->text, value.ptr, value.len);
	memcpy(entry->text + value.len, key.ptr, key.len);
	map_put(c->map, slice_make(entry->text + value.len, key.len), entry);
	return CONTENT_ADDED;
}

size_t content_count(const struct content *c)
{
	return map_count(c->map);
}

bool content_next(const struct content *c, size_t *at, struct slice *key, struct slice *value)
{
	void *found;
	if (!map_next(c->map, at, key, &found))
		return false;
	const struct entry *entry = found;
	*value = slice_make(entry->text, entry->value_len);
	return true;
}

bool content_find(const struct content *c, struct slice key, bool domainless, struct slice *value)
{
	const struct entry *entry = map_get(c->map, key);
	if (!entry && domainless) {
		size_t at = slice_find_last(key, '@');
		if (at == key.len || at == 0)
			return false;
		entry = map_get(c->map, slice_sub(key, 0, at));
	}
	if (!entry)
		return false;
	*value = slice_make(entry->text, entry->value_len);
	return true;
}
