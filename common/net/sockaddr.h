/*
 * sockaddr: network addresses as values. Numbers only: no name is ever looked up here. An IPv4
 * address in IPv6 clothes (::ffff:192.0.2.1, RFC 4291 2.5.5.2) is always turned into plain IPv4,
 * so that equality and CIDR matching need not think of it.
 */
#ifndef COMMON_NET_SOCKADDR_H
#define COMMON_NET_SOCKADDR_H

#include <sys/socket.h>

#include "common/base/slice.h"

enum net_family {
	NET_NONE, /* all zero: no address */
	NET_ANY,  /* "*": both families, only to listen on */
	NET_IPV4,
	NET_IPV6,
	NET_UNIX,
};

enum {
	NET_IP_TEXT = 46,	/* an address without port, and a NUL */
	NET_ADDRESS_TEXT = 256, /* any address; a longer path is cut in its text */
	NET_PATH_MAX = 4095,	/* octets of a unix path */
};

struct net_address {
	uint8_t family;	   /* enum net_family */
	uint16_t port;	   /* 0 to 65535; 0 for NET_UNIX */
	uint8_t bytes[16]; /* network order; IPv4: the first four, the others 0 */
	struct slice path; /* NET_UNIX: into the text that was parsed; empty: unnamed (a peer) */
};

/* "192.0.2.1:25", "[2001:db8::1]:25", "*:25" (port 1 to 65535, always there) or "unix:PATH". */
bool net_address_parse(struct slice text, struct net_address *a);
/* An address alone: "192.0.2.1", "2001:db8::1". port is 0. */
bool net_ip_parse(struct slice text, struct net_address *a);
/* As it would be parsed, with a NUL; returns the length. An unnamed unix peer is "unix:". */
size_t net_address_format(const struct net_address *a, char text[NET_ADDRESS_TEXT]);
/* The address alone ("192.0.2.1", "2001:db8::1" in the form of RFC 5952), "unix" or "*". */
size_t net_ip_format(const struct net_address *a, char text[NET_IP_TEXT]);

/* The same host: family and address equal, whatever the port. NET_UNIX: the same path. */
bool net_address_same_host(const struct net_address *a, const struct net_address *b);
/* Is it 127.0.0.0/8, ::1 or a unix socket? */
bool net_address_is_local(const struct net_address *a);

/* From what the kernel gave; a unix peer becomes unnamed, an unknown family NET_NONE. */
void net_address_from(const struct sockaddr_storage *from, socklen_t len, struct net_address *a);
/* For bind and its like: the length, or 0 for any other family than NET_IPV4 and NET_IPV6. */
socklen_t net_address_to(const struct net_address *a, struct sockaddr_storage *to);

#endif
