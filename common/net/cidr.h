/*
 * cidr: networks as address/bits (RFC 4632 3.1, RFC 4291 2.3), and sets of them.
 */
#ifndef COMMON_NET_CIDR_H
#define COMMON_NET_CIDR_H

#include "common/net/sockaddr.h"

struct cidr {
	uint8_t family;	   /* NET_IPV4 or NET_IPV6 */
	uint8_t bits;	   /* 0 to 32 or 128 */
	uint8_t bytes[16]; /* those behind the first `bits` bits are 0 */
};

/* "192.0.2.0/24", "2001:db8::/32", or an address alone, which is a network of one. False also when
 * bits behind the mask are set ("192.0.2.1/24"): one of the two numbers is a mistake. */
bool cidr_parse(struct slice text, struct cidr *c);
bool cidr_match(const struct cidr *c, const struct net_address *a);

enum { CIDR_SET_MAX = 4096 }; /* networks in a set */

/* All zero: the empty set, which owns nothing. */
struct cidr_set {
	struct cidr *list;
	size_t count, size;
};

/* False when the set is full. */
bool cidr_set_add(struct cidr_set *set, const struct cidr *c);
/* Is the address in one of them? Never for NET_UNIX. */
bool cidr_set_match(const struct cidr_set *set, const struct net_address *a);
void cidr_set_free(struct cidr_set *set); /* is the empty set then */

#endif
