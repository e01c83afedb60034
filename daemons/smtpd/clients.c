/*
 * Clients: how many connections each has, and what it did in the minute under way. A client is an
 * IPv4 address, an IPv6 /64 (which is what one customer has) or a user of the machine. Minutes
 * begin with a client's first deed and are forgotten when they are over, or when there are more
 * than RATES_MAX, the oldest first; nothing is kept while there is no limit.
 */
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "daemons/smtpd/smtpd.h"

enum { CLIENT_KEY_SIZE = 9, CLIENT_EVENTS = CLIENT_RECIPIENT + 1, RATES_MAX = 65536 };
static const uint64_t minute = 60 * CLOCK_SECOND;

struct client {
	char key[CLIENT_KEY_SIZE]; /* family, first 4 or 8 octets of the address, or the uid */
	uint32_t connections;
};

struct rate {
	TAILQ_ENTRY(rate) link;
	char key[CLIENT_KEY_SIZE];
	uint32_t counts[CLIENT_EVENTS];
	uint64_t begun; /* monotonic */
};

static struct map *clients, *rates;
static TAILQ_HEAD(, rate) by_age = TAILQ_HEAD_INITIALIZER(by_age);

void clients_start(void)
{
	clients = map_new();
	rates = map_new();
}

static void client_key(const struct net_address *a, uint32_t uid, char key[CLIENT_KEY_SIZE])
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
	struct client *c;

	client_key(peer, uid, key);
	c = map_get(clients, slice_make(key, sizeof(key)));
	if (c == NULL) {
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

static void rate_forget(struct rate *r)
{
	TAILQ_REMOVE(&by_age, r, link);
	map_remove(rates, slice_make(r->key, sizeof(r->key)));
	memory_free(r);
}

/* The client's minute under way, or a fresh one. */
static struct rate *rate_of(const struct client *c, uint64_t now)
{
	struct slice key = slice_make(c->key, sizeof(c->key));
	struct rate *r, *oldest;

	while ((oldest = TAILQ_FIRST(&by_age)) != NULL && now - oldest->begun >= minute)
		rate_forget(oldest);
	r = map_get(rates, key);
	if (r != NULL)
		return r;
	if (map_count(rates) >= RATES_MAX)
		rate_forget(TAILQ_FIRST(&by_age));
	r = memory_zero(1, sizeof(*r));
	memcpy(r->key, c->key, sizeof(r->key));
	r->begun = now;
	map_put(rates, slice_make(r->key, sizeof(r->key)), r);
	TAILQ_INSERT_TAIL(&by_age, r, link);
	return r;
}

bool client_count(const struct client *c, enum client_event event)
{
	const struct settings_limits *limits = &smtpd_settings()->limits;
	const uint32_t most[CLIENT_EVENTS] = {
	    [CLIENT_CONNECTION] = limits->client_connections,
	    [CLIENT_MESSAGE] = limits->client_messages,
	    [CLIENT_RECIPIENT] = limits->client_recipients,
	};
	struct rate *r;

	if (most[event] == 0)
		return true;
	r = rate_of(c, clock_monotonic_us());
	if (r->counts[event] < UINT32_MAX)
		r->counts[event]++;
	return r->counts[event] <= most[event];
}
