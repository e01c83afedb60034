/*
 * clients: how many connections each client has. A client is an IPv4 address, an IPv6 /64 (which is
 * what one customer has) or a user of the machine.
 */
#ifndef COMMON_NET_CLIENTS_H
#define COMMON_NET_CLIENTS_H

#include "common/base/slice.h"
#include "common/net/sockaddr.h"

struct client;

enum { CLIENT_KEY_SIZE = 9 };

void clients_start(void);
/* A connection of it more; uid: of a peer by a Unix socket. */
struct client *client_enter(const struct net_address *peer, uint32_t uid);
void client_leave(struct client *c);
uint32_t client_connections(const struct client *c);
/* CLIENT_KEY_SIZE octets that no other client has; lives as long as it has a connection. */
struct slice client_key(const struct client *c);

#endif
