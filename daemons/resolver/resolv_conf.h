/*
 * resolv_conf: the name servers of /etc/resolv.conf (resolv.conf(5)). Search lists and options have
 * no meaning for mail: a name is looked up as it is written (S42).
 */
#ifndef DAEMONS_RESOLVER_RESOLV_CONF_H
#define DAEMONS_RESOLVER_RESOLV_CONF_H

#include "common/net/sockaddr.h"

enum {
	NAME_SERVERS_MAX = 8,
	RESOLV_CONF_MAX = 64 * 1024, /* octets; a larger file is none */
	DNS_PORT = 53,
};

struct servers {
	struct net_address list[NAME_SERVERS_MAX];
	size_t count;
};

/* The nameserver lines, in order; those that name no address, and what is over NAME_SERVERS_MAX,
 * are passed over. An address of a link (fe80::1%eth0) is none for us. */
void resolv_conf_read(struct slice text, struct servers *s);
/* Words of host:port, as `resolver { server }` has them. False: one of them is no such thing. */
bool servers_parse(struct slice words, struct servers *s);
bool servers_same(const struct servers *a, const struct servers *b);

#endif
