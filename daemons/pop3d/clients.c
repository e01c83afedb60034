/*
 * Clients: how many connections each has. A client is an IPv4 address, or an IPv6 /64, which is
 * what one customer has.
 */
#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/pop3d/pop3d.h"

enum { CLIENT_KEY_SIZE = 9 };

struct client {
	char key[CLIENT_KEY_SIZE]; /* family, first 4 or 8 octets of the address */
	uint32_t connections;
};

static struct map *clients;

void clients_start(void)
{
	clients = map_new();
}

struct client *client_enter(const struct net_address *peer)
{
	char key[CLIENT_KEY_SIZE] = {(char)peer->family};
	memcpy(key + 1, peer->bytes, peer->family == NET_IPV4 ? 4 : 8);
	struct client *c = map_get(clients, slice_make(key, sizeof(key)));
	if (!c) {
		c = memory_zero(1, sizeof(*c));
		memcpy(c->key, key, sizeof(key));
		map_put(clients, slice_make(c->key, sizeof(c->key)), c);
	}
	c->connections++;
	return c;
}

void client_leave(struct client *c)
{
	if (--c->connections > 0)
		return;
	map_remove(clients, slice_make(c->key, sizeof(c->key)));
	memory_free(c);
}

uint32_t client_connections(const struct client *c)
{
	return c->connections;
}
