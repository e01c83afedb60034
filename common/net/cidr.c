/*
 * cidr: a set is a plain list, for sets are short (`trust` and its like) and are asked once a
 * connection.
 */
#include "common/base/memory.h"
#include "common/net/cidr.h"

enum { MAPPED_BITS = 96 }; /* of ::ffff:0:0/96, RFC 4291 2.5.5.2 */

/* Of the octet at place n, those bits that the mask covers. */
static uint8_t mask(unsigned bits, unsigned n)
{
	if (bits >= 8 * (n + 1))
		return 0xff;
	if (bits <= 8 * n)
		return 0;
	return (uint8_t)(0xff << (8 * (n + 1) - bits));
}

bool cidr_parse(struct slice text, struct cidr *c)
{
	struct slice host, count;
	struct net_address a;
	uint64_t bits;
	*c = (struct cidr){0};
	bool counted = slice_split(text, '/', &host, &count);
	if (!net_ip_parse(host, &a))
		return false;
	bool written_as_ipv6 = slice_find(host, ':') < host.len;
	bits = written_as_ipv6 ? 128 : 32;
	if (counted && !slice_number(count, bits, &bits))
		return false;
	if (a.family == NET_IPV4 && written_as_ipv6) {
		if (bits < MAPPED_BITS)
			return false;
		bits -= MAPPED_BITS;
	}
	for (unsigned n = 0; n < sizeof(a.bytes); n++)
		if (a.bytes[n] & ~mask((unsigned)bits, n))
			return false;
	c->family = a.family;
	c->bits = (uint8_t)bits;
	memcpy(c->bytes, a.bytes, sizeof(c->bytes));
	return true;
}

bool cidr_match(const struct cidr *c, const struct net_address *a)
{
	if (c->family != a->family)
		return false;
	unsigned whole = c->bits / 8;
	if (memcmp(c->bytes, a->bytes, whole) != 0)
		return false;
	return c->bits % 8 == 0 || (a->bytes[whole] & mask(c->bits, whole)) == c->bytes[whole];
}

bool cidr_set_add(struct cidr_set *set, const struct cidr *c)
{
	if (set->count >= CIDR_SET_MAX)
		return false;
	if (set->count == set->size) {
		set->size = set->size > 0 ? set->size * 2 : 8;
		set->list = memory_resize(set->list, set->size, sizeof(set->list[0]));
	}
	set->list[set->count++] = *c;
	return true;
}

bool cidr_set_match(const struct cidr_set *set, const struct net_address *a)
{
	for (size_t i = 0; i < set->count; i++)
		if (cidr_match(&set->list[i], a))
			return true;
	return false;
}

void cidr_set_free(struct cidr_set *set)
{
	memory_free(set->list);
	*set = (struct cidr_set){0};
}
