/*
 * A list in the order of coming beside a map: there are few keys, and changes are rare.
 */
#include "daemons/keys/ring.h"

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"

struct held {
	TAILQ_ENTRY(held) next;
	struct tls_private *key;
	bool named;
	uint64_t until; /* it goes then, of the clock of loop_now(); 0: it stays */
};

static TAILQ_HEAD(, held) ring = TAILQ_HEAD_INITIALIZER(ring);
static struct map *names;
static struct loop_timer timer;
static ring_call *tell;

static struct slice name_of(const struct held *h)
{
	return slice_make(tls_private_name(h->key), TLS_KEY_NAME_SIZE);
}

void ring_begin(ring_call *call)
{
	tell = call;
	if (!names)
		names = map_new();
}

static void drop(struct held *h)
{
	tell(tls_private_name(h->key), false);
	map_remove(names, name_of(h));
	TAILQ_REMOVE(&ring, h, next);
	tls_private_free(&h->key);
	memory_free(h);
}

static struct held *oldest_unnamed(void)
{
	struct held *h, *oldest = NULL;
	TAILQ_FOREACH (h, &ring, next)
		if (h->until > 0 && (!oldest || h->until < oldest->until))
			oldest = h;
	return oldest;
}

bool ring_add(struct tls_private *k)
{
	struct slice name = slice_make(tls_private_name(k), TLS_KEY_NAME_SIZE);
	struct held *h, *oldest;
	if (map_get(names, name)) {
		tls_private_free(&k);
		return false;
	}
	if (map_count(names) == RING_MAX) {
		oldest = oldest_unnamed();
		if (!oldest) {
			tls_private_free(&k);
			return false;
		}
		drop(oldest);
	}
	h = memory_zero(1, sizeof(*h));
	h->key = k;
	map_put(names, name_of(h), h);
	TAILQ_INSERT_TAIL(&ring, h, next);
	tell(tls_private_name(k), true);
	return true;
}

const struct tls_private *ring_find(struct slice name)
{
	const struct held *h = names ? map_get(names, name) : NULL;
	return h ? h->key : NULL;
}

static void on_timer(void *arg);

static void set_timer(void)
{
	const struct held *oldest = oldest_unnamed();
	uint64_t now = loop_now();
	loop_timer_stop(&timer);
	if (oldest)
		loop_timer_start(&timer, oldest->until > now ? oldest->until - now : 0, on_timer,
				 NULL);
}

void ring_sweep(uint64_t now)
{
	struct held *oldest;
	while ((oldest = oldest_unnamed()) && oldest->until <= now)
		drop(oldest);
	set_timer();
}

static void on_timer(void *arg)
{
	(void)arg;
	ring_sweep(loop_now());
}

void ring_naming(void)
{
	struct held *h;
	TAILQ_FOREACH (h, &ring, next)
		h->named = false;
}

void ring_name(const unsigned char name[TLS_KEY_NAME_SIZE])
{
	struct held *h = map_get(names, slice_make(name, TLS_KEY_NAME_SIZE));
	if (h)
		h->named = true;
}

void ring_named(void)
{
	struct held *h;
	TAILQ_FOREACH (h, &ring, next) {
		if (h->named)
			h->until = 0;
		else if (h->until == 0)
			h->until = loop_now() + RING_GRACE_US;
	}
	set_timer();
}

size_t ring_count(void)
{
	return names ? map_count(names) : 0;
}

void ring_free(void)
{
	struct held *h;
	while ((h = TAILQ_FIRST(&ring)))
		drop(h);
	loop_timer_stop(&timer);
	map_free(&names);
}
