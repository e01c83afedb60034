/*
 * What each client did in the minute under way. Minutes begin with a client's first deed and are
 * forgotten when they are over, or when there are more than RATES_MAX, the oldest first; nothing is
 * kept while there is no limit.
 */
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "daemons/smtpd/smtpd.h"

enum { CLIENT_EVENTS = CLIENT_RECIPIENT + 1, RATES_MAX = 65536 };
static const uint64_t minute = 60 * CLOCK_SECOND;

struct rate {
	TAILQ_ENTRY(rate) link;
	uint32_t counts[CLIENT_EVENTS];
	uint64_t begun; /* monotonic */
	char key[CLIENT_KEY_SIZE];
};

static struct map *rates;
static TAILQ_HEAD(, rate) by_age = TAILQ_HEAD_INITIALIZER(by_age);

void rates_start(void)
{
	rates = map_new();
}

static struct slice key_of(const struct rate *r)
{
	return slice_make(r->key, sizeof(r->key));
}

static void rate_forget(struct rate *r)
{
	TAILQ_REMOVE(&by_age, r, link);
	map_remove(rates, key_of(r));
	memory_free(r);
}

/* The client's minute under way, or a fresh one. */
static struct rate *rate_of(const struct client *c, uint64_t now)
{
	struct slice key = client_key(c);
	struct rate *r, *oldest;

	while ((oldest = TAILQ_FIRST(&by_age)) != NULL && now - oldest->begun >= minute)
		rate_forget(oldest);
	r = map_get(rates, key);
	if (r != NULL)
		return r;
	if (map_count(rates) >= RATES_MAX)
		rate_forget(TAILQ_FIRST(&by_age));
	r = memory_zero(1, sizeof(*r));
	memcpy(r->key, key.ptr, sizeof(r->key));
	r->begun = now;
	map_put(rates, key_of(r), r);
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
