/*
 * A packet is walked record by record; nothing is copied but names. A name is followed through its
 * pointers with a bound on the steps, and each pointer must lead to before the place it was read
 * at, so that no packet makes us go round.
 */
#include "daemons/resolver/reply.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	HEADER_SIZE = 12,
	RR_FIXED_SIZE = 10, /* type, class, ttl, length */
	CLASS_IN = 1,
	TRUNCATED = 2, /* bit of the third octet */
	POINTER = 0xc0,
	LABEL_MAX = 63,
	NAME_TEXT_MAX = 253,
	SOA_NUMBERS_SIZE = 20, /* serial, refresh, retry, expire, minimum */
};

struct rr {
	uint16_t type, class;
	uint32_t ttl;
	size_t data, length;
};

static unsigned octet(struct slice s, size_t at)
{
	return (unsigned char)s.ptr[at];
}

static unsigned number16(struct slice s, size_t at)
{
	return octet(s, at) << 8 | octet(s, at + 1);
}

static uint32_t number32(struct slice s, size_t at)
{
	return (uint32_t)number16(s, at) << 16 | number16(s, at + 2);
}

/* The place behind the name at `at`; 0: it does not end in the packet. */
static size_t skip_name(struct slice s, size_t at)
{
	while (at < s.len) {
		unsigned length = octet(s, at);
		if ((length & POINTER) == POINTER)
			return at + 2 <= s.len ? at + 2 : 0;
		if (length > LABEL_MAX)
			return 0;
		at += 1 + length;
		if (length == 0)
			return at <= s.len ? at : 0;
	}
	return 0;
}

static bool host_octet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool append_label(struct slice label, char name[REPLY_NAME_SIZE], size_t *len)
{
	size_t dot = *len > 0;
	if (*len + dot + label.len > NAME_TEXT_MAX)
		return false;
	if (dot)
		name[(*len)++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		char c = ascii_lower(label.ptr[i]);
		if (!host_octet(c))
			return false;
		name[(*len)++] = c;
	}
	return true;
}

/* False: it does not end, or is no host's. */
static bool read_name(struct slice s, size_t at, char name[REPLY_NAME_SIZE])
{
	size_t len = 0, before = at;
	while (at < s.len) {
		unsigned length = octet(s, at);
		if ((length & POINTER) == POINTER) {
			if (at + 2 > s.len)
				return false;
			at = number16(s, at) & ~(unsigned)(POINTER << 8);
			if (at >= before)
				return false;
			before = at;
			continue;
		}
		if (length > LABEL_MAX || at + 1 + length > s.len)
			return false;
		if (length == 0) {
			name[len] = '\0';
			return true;
		}
		if (!append_label(slice_sub(s, at + 1, length), name, &len))
			return false;
		at += 1 + length;
	}
	return false;
}

/* The record at *at, which is moved behind it. */
static bool next_rr(struct slice s, size_t *at, struct rr *rr)
{
	size_t fixed = skip_name(s, *at);
	if (fixed == 0 || s.len - fixed < RR_FIXED_SIZE)
		return false;
	*rr = (struct rr){.type = (uint16_t)number16(s, fixed),
			  .class = (uint16_t)number16(s, fixed + 2),
			  .ttl = number32(s, fixed + 4),
			  .data = fixed + RR_FIXED_SIZE,
			  .length = number16(s, fixed + 8)};
	if (rr->length > s.len - rr->data)
		return false;
	*at = rr->data + rr->length;
	return true;
}

bool reply_open(struct slice s, uint16_t type, struct reply *p)
{
	if (s.len < HEADER_SIZE || number16(s, 4) != 1)
		return false;
	size_t question = skip_name(s, HEADER_SIZE);
	if (question == 0 || s.len - question < 4 || number16(s, question) != type)
		return false;
	*p = (struct reply){.octets = s,
			    .at = question + 4,
			    .left = number16(s, 6),
			    .beyond = number16(s, 8),
			    .cut = octet(s, 2) & TRUNCATED,
			    .rcode = octet(s, 3) & 15,
			    .type = type};
	return true;
}

static bool take_address(struct slice data, struct net_address *a)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_storage any = {0};
	if (data.len == 4) {
		*a = (struct net_address){.family = NET_IPV4};
		memcpy(a->bytes, data.ptr, 4);
		return true;
	}
	if (data.len != sizeof(v6.sin6_addr))
		return false;
	memcpy(&v6.sin6_addr, data.ptr, sizeof(v6.sin6_addr));
	memcpy(&any, &v6, sizeof(v6));
	net_address_from(&any, sizeof(v6), a); /* turns IPv4 in IPv6 clothes into IPv4 */
	return a->family != NET_NONE;
}

static bool take(const struct reply *p, const struct rr *rr, struct reply_record *r)
{
	struct slice data = slice_sub(p->octets, rr->data, rr->length);
	*r = (struct reply_record){0};
	switch (rr->type) {
	case REPLY_A:
		return data.len == 4 && take_address(data, &r->address);
	case REPLY_AAAA:
		return data.len == 16 && take_address(data, &r->address);
	case REPLY_MX:
		if (data.len < 3)
			return false;
		r->preference = number16(data, 0);
		return read_name(p->octets, rr->data + 2, r->name);
	case REPLY_PTR:
		return read_name(p->octets, rr->data, r->name);
	default:
		return false;
	}
}

bool reply_next(struct reply *p, struct reply_record *r)
{
	struct rr rr;
	while (p->left > 0 && next_rr(p->octets, &p->at, &rr)) {
		p->left--;
		if (rr.class == CLASS_IN && rr.type == p->type && take(p, &rr, r))
			return true;
	}
	p->left = 0;
	return false;
}

/* RFC 2308 5: the smaller of the SOA's own time and its minimum. */
static uint32_t ttl_of_nothing(struct slice s, size_t at, unsigned count)
{
	struct rr rr;
	while (count-- > 0 && next_rr(s, &at, &rr)) {
		if (rr.type != REPLY_SOA || rr.length < SOA_NUMBERS_SIZE)
			continue;
		uint32_t minimum = number32(s, rr.data + rr.length - 4);
		return minimum < rr.ttl ? minimum : rr.ttl;
	}
	return 0;
}

uint32_t reply_ttl(const struct reply *p)
{
	uint32_t least = UINT32_MAX;
	size_t at = p->at;
	struct rr rr;
	if (p->left == 0)
		return ttl_of_nothing(p->octets, at, p->beyond);
	for (unsigned left = p->left; left > 0 && next_rr(p->octets, &at, &rr); left--)
		if (rr.ttl < least)
			least = rr.ttl;
	return least == UINT32_MAX ? 0 : least;
}

size_t reply_count(const struct reply *p)
{
	size_t count = 0, at = p->at;
	struct rr rr;
	for (unsigned left = p->left; left > 0 && next_rr(p->octets, &at, &rr); left--)
		count += rr.class == CLASS_IN && rr.type == p->type;
	return count;
}

bool reply_has_soa(const struct reply *p)
{
	size_t at = p->at;
	struct rr rr;
	for (unsigned i = 0; i < p->left + p->beyond && next_rr(p->octets, &at, &rr); i++)
		if (i >= p->left && rr.type == REPLY_SOA)
			return true;
	return false;
}

bool reply_name_usable(struct slice name)
{
	struct slice label;
	bool more;
	if (name.len == 0 || name.len > NAME_TEXT_MAX)
		return false;
	do {
		more = slice_split(name, '.', &label, &name);
		if (label.len == 0 || label.len > LABEL_MAX)
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!host_octet(ascii_lower(label.ptr[i])))
				return false;
	} while (more);
	return true;
}

void reply_reverse(const struct net_address *a, char name[REPLY_NAME_SIZE])
{
	const uint8_t *b = a->bytes;
	int len = 0;
	if (a->family == NET_IPV4) {
		snprintf(name, REPLY_NAME_SIZE, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
		return;
	}
	for (int i = 15; i >= 0; i--)
		len += snprintf(name + len, REPLY_NAME_SIZE - (size_t)len, "%x.%x.", b[i] & 15,
				b[i] >> 4);
	snprintf(name + len, REPLY_NAME_SIZE - (size_t)len, "ip6.arpa");
}
