/*
 * known: a sorted array of 8 octets a recipient. 48 bits of a SHA-256 are enough: who wants one
 * stranger to pass for a known one has to look through 2^48 addresses. Changes are merged from the
 * end, so that one message to many costs one pass.
 */
#include <stdlib.h>

#include "common/base/memory.h"
#include "daemons/usage/usage.h"

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

size_t known_prepare(uint64_t *hashes, size_t count)
{
	size_t kept = 0;
	qsort(hashes, count, sizeof(*hashes), by_number);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || KNOWN_HASH(hashes[i]) != KNOWN_HASH(hashes[kept - 1]))
			hashes[kept++] = hashes[i];
	return kept;
}

/* Where the hash stands, or would stand. */
static uint32_t find(const struct known *k, uint64_t hash)
{
	uint32_t low = 0, high = k->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (KNOWN_HASH(k->entries[middle]) < KNOWN_HASH(hash))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct known *k, uint32_t at, uint64_t hash)
{
	return at < k->count && KNOWN_HASH(k->entries[at]) == KNOWN_HASH(hash);
}

size_t known_fresh(const struct known *k, const uint64_t *hashes, size_t count)
{
	size_t fresh = 0;
	for (size_t i = 0; i < count; i++)
		fresh += !is_at(k, find(k, hashes[i]), hashes[i]);
	return fresh;
}

size_t known_write(struct known *k, uint64_t *hashes, size_t count, uint16_t today)
{
	size_t changed = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t entry = KNOWN_HASH(hashes[i]) | today;
		uint32_t at = find(k, entry);
		if (!is_at(k, at, entry) || k->entries[at] != entry)
			hashes[changed++] = entry;
	}
	known_put(k, hashes, changed);
	return changed;
}

static void make_room(struct known *k, uint32_t count)
{
	if (count <= k->room)
		return;
	k->room = count + count / 4 + 4;
	k->entries = memory_resize(k->entries, k->room, sizeof(*k->entries));
}

void known_put(struct known *k, const uint64_t *entries, size_t count)
{
	size_t missing = known_fresh(k, entries, count), from = k->count, to = k->count + missing;
	make_room(k, (uint32_t)to);
	k->count = (uint32_t)to;
	while (count > 0) {
		uint64_t next = entries[count - 1];
		if (from > 0 && KNOWN_HASH(k->entries[from - 1]) > KNOWN_HASH(next)) {
			k->entries[--to] = k->entries[--from];
			continue;
		}
		if (from > 0 && KNOWN_HASH(k->entries[from - 1]) == KNOWN_HASH(next))
			from--;
		k->entries[--to] = next;
		count--;
	}
}

/* Keeps those of the day `oldest` and later; of that day itself all but `spare`. */
static void keep(struct known *k, uint16_t oldest, uint32_t spare)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < k->count; i++) {
		uint16_t day = (uint16_t)k->entries[i];
		if (day == oldest && spare > 0)
			spare--;
		else if (day >= oldest)
			k->entries[kept++] = k->entries[i];
	}
	k->count = kept;
	if (kept == 0)
		known_free(k);
}

void known_forget(struct known *k, uint16_t oldest)
{
	keep(k, oldest, 0);
}

static int by_day(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

void known_shed(struct known *k, uint32_t left)
{
	if (k->count <= left)
		return;
	uint32_t go = k->count - left, of_oldest = 0;
	uint16_t *days = memory_get(k->count * sizeof(*days));
	for (uint32_t i = 0; i < k->count; i++)
		days[i] = (uint16_t)k->entries[i];
	qsort(days, k->count, sizeof(*days), by_day);
	uint16_t oldest = days[go];
	for (uint32_t i = go; i > 0 && days[i - 1] == oldest; i--)
		of_oldest++;
	memory_free(days);
	keep(k, oldest, of_oldest);
}

void known_free(struct known *k)
{
	memory_free(k->entries);
	*k = (struct known){0};
}
