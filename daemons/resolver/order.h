/*
 * order: which addresses of a next hop are tried, and in which order.
 */
#ifndef DAEMONS_RESOLVER_ORDER_H
#define DAEMONS_RESOLVER_ORDER_H

#include "common/net/sockaddr.h"

struct target {
	struct net_address address;
	uint32_t preference;
	size_t host;  /* number of its host, in whatever order, under ORDER_HOSTS_MAX */
	bool ours;    /* an address of this machine */
	bool secure;  /* passed on */
	uint32_t key; /* of order_targets */
};

enum { ORDER_HOSTS_MAX = 128 };

/* Which of our own addresses is among them (S39)? Drops all targets with our preference or a worse
 * one. True: we are there, with *own as preference. */
bool order_drop_own(struct target *list, size_t *count, uint32_t *own);

/* A number below the bound: arc4random_uniform. */
typedef uint32_t order_random(uint32_t bound);

/* By preference; hosts of equal preference in random order, and their families in turn (S40). At
 * most `most` stay, so many of each family that none is left out for the other. */
void order_targets(struct target *list, size_t *count, size_t most, order_random *random);

#endif
