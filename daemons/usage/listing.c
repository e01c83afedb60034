/*
 * listing: everybody who is blocked, then everybody who has sent within a day, some a turn and as
 * fast as it is read.
 */
#include <bsd/sys/queue.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/os/loop.h"
#include "daemons/usage/usage.h"

enum { LISTINGS_MAX = 16, LISTING_STEP = 500 };

struct listing {
	TAILQ_ENTRY(listing) link;
	struct channel *channel;
	uint64_t request;
	size_t cursor;
};

static TAILQ_HEAD(, listing) listings = TAILQ_HEAD_INITIALIZER(listings);
static unsigned listing_count;
static struct loop_turn turn;

static void done(struct channel *c, uint64_t request, unsigned code, struct slice text)
{
	struct usage_done m = {.request = request, .code = code, .text = text};
	channel_send(c, USAGE_DONE, &m);
}

static void list(struct channel *c, uint64_t request, struct slice name)
{
	const struct user *u = book_find(name);
	struct usage_listed m = {.request = request, .user = name, .blocked = blocked_is(name)};
	struct sums s = {0};
	if (u)
		windows_sum(&u->windows, usage_now(), &s);
	m.messages_hour = s.messages_hour;
	m.messages_day = s.messages_day;
	m.recipients_hour = s.recipients_hour;
	m.recipients_day = s.recipients_day;
	m.new_recipients_day = s.fresh_day;
	channel_send(c, USAGE_LISTED, &m);
}

static bool has_sent(const struct user *u)
{
	struct sums s;
	windows_sum(&u->windows, usage_now(), &s);
	return s.messages_day > 0;
}

void listing_begin(struct channel *c, uint64_t request, struct slice user)
{
	struct slice name;
	if (user.len > 0) {
		list(c, request, user);
		done(c, request, EX_OK, SLICE_EMPTY);
		return;
	}
	if (listing_count == LISTINGS_MAX) {
		done(c, request, EX_TEMPFAIL, SLICE("too many questions at once"));
		return;
	}
	for (size_t at = 0; (name = blocked_next(&at)).len > 0;)
		list(c, request, name);
	struct listing *l = memory_zero(1, sizeof(*l));
	l->channel = c;
	l->request = request;
	TAILQ_INSERT_TAIL(&listings, l, link);
	listing_count++;
}

static void end(struct listing *l)
{
	TAILQ_REMOVE(&listings, l, link);
	listing_count--;
	memory_free(l);
}

/* True: there is more. */
static bool step(struct listing *l)
{
	const struct user *u;
	for (int i = 0; i < LISTING_STEP; i++) {
		u = book_at(l->cursor++);
		if (!u) {
			done(l->channel, l->request, EX_OK, SLICE_EMPTY);
			end(l);
			return false;
		}
		if (has_sent(u) && !blocked_is(user_name_of(u)))
			list(l->channel, l->request, user_name_of(u));
	}
	return true;
}

static void at_turn_end(void *arg)
{
	struct listing *l, *next;
	bool more = false;
	(void)arg;
	TAILQ_FOREACH_SAFE (l, &listings, link, next)
		if (channel_queued(l->channel) <= CHANNEL_QUEUE_MAX / 4)
			more |= step(l);
	if (more)
		loop_turn_again();
}

static void room(struct channel *c)
{
	(void)c; /* a turn's end follows */
}

void listing_watch(struct channel *c)
{
	channel_on_room(c, room);
}

void listing_forget(struct channel *c)
{
	struct listing *l, *next;
	TAILQ_FOREACH_SAFE (l, &listings, link, next)
		if (l->channel == c)
			end(l);
}

void listings_start(void)
{
	loop_turn_add(&turn, at_turn_end, NULL);
}
