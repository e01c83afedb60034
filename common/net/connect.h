/*
 * connect: a TCP connection to an address, made without waiting for it.
 */
#ifndef COMMON_NET_CONNECT_H
#define COMMON_NET_CONNECT_H

#include "common/net/sockaddr.h"

struct connector;

/* Once, from the loop, never from connector_open() itself. fd is connected (non-blocking,
 * close-on-exec, TCP_NODELAY) and the callee's; or -1 with the errno (ETIMEDOUT after timeout_us).
 * The connector is gone then. */
typedef void connector_call(void *arg, int fd, int error);

/* a: NET_IPV4 or NET_IPV6. Whatever goes wrong comes by the call. */
struct connector *connector_open(const struct net_address *a, uint64_t timeout_us,
				 connector_call *call, void *arg);
/* Gives up; no call comes after this. */
void connector_free(struct connector **c);

#endif
