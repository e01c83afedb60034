/*
 * Hosts are shuffled, not addresses, so that a host with many addresses gets no larger share than
 * its neighbours.
 */
#include "daemons/resolver/order.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

bool order_drop_own(struct target *list, size_t *count, uint32_t *own)
{
	bool found = false;
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++) {
		if (!list[i].ours || (found && list[i].preference >= *own))
			continue;
		found = true;
		*own = list[i].preference;
	}
	if (!found)
		return false;
	for (size_t i = 0; i < *count; i++)
		if (list[i].preference < *own)
			list[kept++] = list[i];
	*count = kept;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* One random place for each host, and below it one for each of its addresses. */
static void draw_keys(struct target *list, size_t count, order_random *random)
{
	uint32_t places[ORDER_HOSTS_MAX] = {0};
	for (uint32_t i = 0; i < ORDER_HOSTS_MAX; i++) {
		uint32_t j = random(i + 1);
		places[i] = places[j];
		places[j] = i;
	}
	for (size_t i = 0; i < count; i++)
		list[i].key = places[list[i].host] << 16 | random(1 << 16);
}

/* The next one of a family at or behind `at`; count: there is none. */
static size_t find_family(const struct target *list, size_t count, size_t at, uint8_t family)
{
	while (at < count && list[at].address.family != family)
		at++;
	return at;
}

/* Of targets of one preference: a family's order stays, the two take turns. */
static void interleave(struct target *list, size_t count, struct target *room, uint32_t first)
{
	static const uint8_t families[] = {NET_IPV6, NET_IPV4};
	size_t at[2] = {0, 0};
	unsigned turn = first;
	for (size_t i = 0; i < count; i++, turn ^= 1) {
		at[turn] = find_family(list, count, at[turn], families[turn]);
		if (at[turn] == count) {
			turn ^= 1;
			at[turn] = find_family(list, count, at[turn], families[turn]);
		}
		room[i] = list[at[turn]++];
	}
	memcpy(list, room, count * sizeof(*list));
}

/* The share of a family that the other one leaves it: all that is free, half at least. */
static size_t share(size_t other, size_t most)
{
	return most - (other < most / 2 ? other : most / 2);
}

static void cut(struct target *list, size_t *count, size_t most)
{
	size_t v6 = 0, kept = 0, used[2] = {0, 0};
	if (*count <= most)
		return;
	for (size_t i = 0; i < *count; i++)
		v6 += list[i].address.family == NET_IPV6;
	const size_t shares[2] = {share(v6, most), share(*count - v6, most)};
	for (size_t i = 0; i < *count; i++) {
		size_t f = list[i].address.family == NET_IPV6;
		if (used[f] < shares[f]) {
			used[f]++;
			list[kept++] = list[i];
		}
	}
	*count = kept;
}

void order_targets(struct target *list, size_t *count, size_t most, order_random *random)
{
	struct target *room;
	size_t end;
	if (*count == 0)
		return;
	room = memory_zero(*count, sizeof(*room));
	draw_keys(list, *count, random);
	qsort(list, *count, sizeof(*list), compare);
	for (size_t from = 0; from < *count; from = end) {
		for (end = from; end < *count && list[end].preference == list[from].preference;)
			end++;
		interleave(list + from, end - from, room, random(2));
	}
	memory_free(room);
	cut(list, count, most);
}
