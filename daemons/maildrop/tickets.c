/*
 * The oldest is first in the list, and is the first whose time is over.
 */
#include "daemons/maildrop/tickets.h"

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/wire/codec.h"

struct kept {
	struct ticket ticket; /* first: what callers have */
	TAILQ_ENTRY(kept) link;
	char key[MAILDROP_TICKET_SIZE];
	uint64_t end;
};

static struct map *by_key;
static TAILQ_HEAD(, kept) by_age = TAILQ_HEAD_INITIALIZER(by_age);
static struct loop_timer timer;

void tickets_warm(void)
{
	by_key = map_new();
}

static struct slice key_of(const struct kept *k)
{
	return slice_make(k->key, sizeof(k->key));
}

static void forget(struct kept *k)
{
	map_remove(by_key, key_of(k));
	TAILQ_REMOVE(&by_age, k, link);
}

void ticket_free(struct ticket **t)
{
	if (!*t)
		return;
	memory_free((*t)->user);
	memory_free((*t)->base);
	memory_free((*t)->grant);
	memory_free(*t);
	*t = NULL;
}

static void drop_oldest(void)
{
	struct kept *k = TAILQ_FIRST(&by_age);
	struct ticket *t = &k->ticket;
	forget(k);
	ticket_free(&t);
}

static void expire(void *arg)
{
	struct kept *k;
	(void)arg;
	while ((k = TAILQ_FIRST(&by_age)) && k->end <= loop_now())
		drop_oldest();
	if (k)
		loop_timer_start(&timer, k->end - loop_now(), expire, NULL);
}

bool tickets_add(const struct maildrop_grant *g)
{
	struct buffer b;
	struct kept *k;
	if (g->ticket.len != MAILDROP_TICKET_SIZE || g->user.len == 0 || g->base.len == 0 ||
	    g->path.len == 0 || g->groups.len % 4 != 0 || map_get(by_key, g->ticket))
		return false;
	buffer_init(&b, TICKET_GRANT_MAX);
	if (!codec_encode(&maildrop_grant_record, g, &b)) {
		buffer_free(&b);
		return false;
	}
	if (map_count(by_key) == TICKETS_MAX)
		drop_oldest();
	k = memory_zero(1, sizeof(*k));
	memcpy(k->key, g->ticket.ptr, sizeof(k->key));
	k->ticket.user = memory_string(g->user);
	k->ticket.base = maildrop_is_virtual(g) ? memory_string(g->base) : NULL;
	k->ticket.len = b.len;
	k->ticket.grant = memory_get(b.len);
	memcpy(k->ticket.grant, buffer_slice(&b).ptr, b.len);
	buffer_free(&b);
	k->end = loop_now() + MAILDROP_TICKET_US;
	map_put(by_key, key_of(k), k);
	TAILQ_INSERT_TAIL(&by_age, k, link);
	if (!loop_timer_active(&timer))
		loop_timer_start(&timer, MAILDROP_TICKET_US, expire, NULL);
	return true;
}

struct ticket *tickets_take(struct slice ticket)
{
	struct kept *k = map_get(by_key, ticket);
	if (!k || k->end <= loop_now())
		return NULL;
	forget(k);
	return &k->ticket;
}
