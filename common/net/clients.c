/*
 * A client is there while it has a connection.
 */
#include "common/net/clients.h"

#include "common/base/map.h"
#include "common/base/memory.h"

struct client {
	char key[CLIENT_KEY_SIZE]; /* family, first 4 or 8 octets of the address, or the uid */
	uint32_t connections;
};

static struct map *clients;

void clients_start(void)
{
	clients = map_new();
}

static void key_of(const struct net_address *a, uint32_t uid, char key[CLIENT_KEY_SIZE])
{
	memset(key, 0, CLIENT_KEY_SIZE);
	key[0] = (char)a->family;
	if (a->family == NET_UNIX)
		memcpy(key + 1, &uid, sizeof(uid));
	else
		memcpy(key + 1, a->bytes, a->family == NET_IPV4 ? 4 : 8);
}

struct client *client_enter(const struct net_address *peer, uint32_t uid)
{
	char key[CLIENT_KEY_SIZE];
	key_of(peer, uid, key);
	struct client *c = map_get(clients, slice_make(key, sizeof(key)));
	if (!c) {
		c = memory_zero(1, sizeof(*c));
		memcpy(c->key, key, sizeof(key));
		map_put(clients, client_key(c), c);
	}
	c->connections++;
	return c;
}

void client_leave(struct client *c)
{
	if (--c->connections > 0)
		return;
	map_remove(clients, client_key(c));
	memory_free(c);
}

uint32_t client_connections(const struct client *c)
{
	return c->connections;
}

struct slice client_key(const struct client *c)
{
	return slice_make(c->key, sizeof(c->key));
}
