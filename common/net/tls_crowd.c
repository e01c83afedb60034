/*
 * tls_crowd: how many handshakes are under way, and who goes when there are too many. A handshake
 * costs a stranger a few octets and us up to 200 KB until its deadline; so there are never more
 * than TLS_HANDSHAKES_MAX, and room is made where the most are: a crowd of one network ends its
 * own.
 */
#include <sys/socket.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/net/sockaddr.h"
#include "common/net/tls_parts.h"

enum { NETWORK_KEY_MAX = 7, IPV4_OCTETS = 3, IPV6_OCTETS = 6 };

struct tls_network {
	TAILQ_ENTRY(tls_network) link;
	TAILQ_HEAD(, tls_guest) guests; /* never empty */
	unsigned count;
	size_t key_len;
	char key[NETWORK_KEY_MAX];
};

static TAILQ_HEAD(, tls_network) networks = TAILQ_HEAD_INITIALIZER(networks);
static struct map *by_key;
static unsigned count;

/* Of whom the kernel tells no address, all are one network. */
static size_t key_of(int fd, char key[NETWORK_KEY_MAX])
{
	struct sockaddr_storage from;
	struct net_address a;
	socklen_t len = sizeof(from);
	key[0] = NET_UNIX;
	if (getpeername(fd, (struct sockaddr *)&from, &len) < 0 || from.ss_family == AF_UNIX)
		return 1;
	net_address_from(&from, len, &a);
	size_t octets = a.family == NET_IPV4 ? IPV4_OCTETS : IPV6_OCTETS;
	key[0] = (char)a.family;
	memcpy(key + 1, a.bytes, octets);
	return 1 + octets;
}

static struct tls_network *network_of(int fd)
{
	char key[NETWORK_KEY_MAX];
	size_t len = key_of(fd, key);
	if (!by_key)
		by_key = map_new();
	struct tls_network *n = map_get(by_key, slice_make(key, len));
	if (n)
		return n;
	n = memory_zero(1, sizeof(*n));
	TAILQ_INIT(&n->guests);
	n->key_len = len;
	memcpy(n->key, key, len);
	map_put(by_key, slice_make(n->key, len), n);
	TAILQ_INSERT_TAIL(&networks, n, link);
	return n;
}

/* One that waits for its client, if there is one. */
static struct tls_guest *oldest(const struct tls_network *n)
{
	struct tls_guest *g;
	TAILQ_FOREACH (g, &n->guests, link)
		if (!g->busy)
			return g;
	return TAILQ_FIRST(&n->guests);
}

static const struct tls_network *largest(void)
{
	const struct tls_network *n, *found = TAILQ_FIRST(&networks);
	TAILQ_FOREACH (n, &networks, link)
		if (n->count > found->count)
			found = n;
	return found;
}

struct tls_guest *tls_crowd_enter(struct tls_guest *g, int fd)
{
	struct tls_guest *goes = count >= TLS_HANDSHAKES_MAX ? oldest(largest()) : NULL;
	if (goes)
		tls_crowd_leave(goes);
	g->network = network_of(fd);
	TAILQ_INSERT_TAIL(&g->network->guests, g, link);
	g->network->count++;
	count++;
	return goes;
}

void tls_crowd_leave(struct tls_guest *g)
{
	struct tls_network *n = g->network;
	if (!n)
		return;
	g->network = NULL;
	TAILQ_REMOVE(&n->guests, g, link);
	count--;
	if (--n->count > 0)
		return;
	map_remove(by_key, slice_make(n->key, n->key_len));
	TAILQ_REMOVE(&networks, n, link);
	memory_free(n);
}
