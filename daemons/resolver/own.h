/*
 * own: which addresses are this machine's.
 */
#ifndef DAEMONS_RESOLVER_OWN_H
#define DAEMONS_RESOLVER_OWN_H

#include "common/net/cidr.h"

/* The networks of `addresses`, ours by the administrator's word: a new set. */
void own_begin(void);
void own_add(struct slice network);

/* Would a connection to this address come back to us? Loopback and the unspecified address are
 * ours, as are those of any interface, as it is now. */
bool own_has(const struct net_address *a);

#endif
