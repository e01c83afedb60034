/*
 * questions: the channels. A message's hashes gather until all are there; of one channel there is
 * one such message at a time, so a submission that dies or gives up leaves nothing behind.
 */
#include <bsd/sys/queue.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "daemons/usage/usage.h"

enum { HASHES_KEPT = 1024 }; /* memory that a channel keeps for the next message */
#define SAVE_AGAIN_US (UINT64_C(10) * 1000000) /* after a failure of the disk */

struct asker {
	TAILQ_ENTRY(asker) link;
	struct channel *channel;
	bool asking; /* its hashes are coming */
	uint64_t request, id;
	uint32_t recipients, got, room;
	uint64_t *hashes;
	char user[USAGE_USER_MAX + 1];
};

static TAILQ_HEAD(, asker) askers = TAILQ_HEAD_INITIALIZER(askers);
static struct channel *accounts;
static struct loop_timer saver; /* of who is blocked, when the file could not be written */

uint64_t usage_now(void)
{
	return clock_wall_us() / CLOCK_SECOND;
}

static struct asker *asker_of(struct channel *c)
{
	struct asker *a;
	TAILQ_FOREACH (a, &askers, link)
		if (a->channel == c)
			return a;
	panic("a channel of submission that nobody knows");
}

static void log_hold(const struct asker *a, const struct verdict *v)
{
	struct log_line line;
	log_start(&line, v->tell ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, a->id, "limited");
	log_pair(&line, "user", slice_str(a->user));
	log_number(&line, "recipients", a->recipients);
	log_pair(&line, "why", slice_str(v->text));
	if (v->refuse)
		log_pair(&line, "refused", SLICE("too much is held"));
	log_end(&line);
}

static void answer(struct asker *a)
{
	struct verdict v;
	book_send(slice_str(a->user), a->recipients, a->hashes, a->got, usage_now(), &v);
	struct usage_verdict m = {.request = a->request,
				  .hold = v.hold,
				  .refuse = v.refuse,
				  .tell = v.tell,
				  .text = slice_str(v.text)};
	a->asking = false;
	if (v.hold)
		log_hold(a, &v);
	channel_send(a->channel, USAGE_VERDICT, &m);
	if (a->room > HASHES_KEPT) {
		memory_free(a->hashes);
		a->hashes = NULL;
		a->room = 0;
	}
}

static void on_sends(struct channel *c, const void *record)
{
	const struct usage_sends *m = record;
	struct asker *a = asker_of(c);
	a->request = m->request;
	a->id = m->id;
	a->recipients = m->recipients;
	a->got = 0;
	a->asking = true;
	if (m->user.len == 0 || !slice_copy(m->user, a->user, sizeof(a->user))) {
		channel_break(c, "a message of nobody");
		return;
	}
	slice_lower(m->user, a->user);
	if (m->recipients > a->room) {
		a->room = m->recipients;
		a->hashes = memory_resize(a->hashes, a->room, sizeof(*a->hashes));
	}
	if (m->recipients == 0)
		answer(a);
}

static void on_to(struct channel *c, const void *record)
{
	const struct usage_to *m = record;
	struct asker *a = asker_of(c);
	size_t count = m->hashes.len / 8;
	if (!a->asking || m->request != a->request)
		return; /* of one that was given up */
	if (m->hashes.len % 8 != 0 || count > a->recipients - a->got) {
		channel_break(c, "other recipients than it said");
		return;
	}
	for (size_t i = 0; i < count; i++)
		a->hashes[a->got++] = get_u64(m->hashes.ptr + i * 8);
	if (a->got == a->recipients)
		answer(a);
}

/* Who is blocked */

static void tell_blocked(struct channel *c, struct slice user, bool blocked)
{
	struct usage_blocked m = {.user = user, .blocked = blocked};
	channel_send(c, USAGE_BLOCKED, &m);
}

static void tell_all_blocked(struct channel *c)
{
	struct slice user;
	for (size_t at = 0; (user = blocked_next(&at)).len > 0;)
		tell_blocked(c, user, true);
}

static void tell_change(struct slice user, bool blocked)
{
	struct log_line line;
	struct asker *a;
	log_start(&line, LOG_LEVEL_INFO, 0, blocked ? "blocked" : "unblocked");
	log_pair(&line, "user", user);
	log_pair(&line, "by", SLICE("administrator"));
	log_end(&line);
	if (accounts)
		tell_blocked(accounts, user, blocked);
	TAILQ_FOREACH (a, &askers, link)
		tell_blocked(a->channel, user, blocked);
}

static void done(struct channel *c, uint64_t request, unsigned code, const char *text)
{
	struct usage_done m = {.request = request, .code = code, .text = slice_str(text)};
	channel_send(c, USAGE_DONE, &m);
}

/* Else this daemon's death would let in again who was blocked. */
static void save_again(void *arg)
{
	struct error e = {0};
	(void)arg;
	if (blocked_save(&e))
		log_info("blocked: what could not be written is on the disk now");
	else
		loop_timer_start(&saver, SAVE_AGAIN_US, save_again, NULL);
}

static void block(struct channel *c, uint64_t request, struct slice user, bool blocked)
{
	struct error e = {0};
	char text[ERROR_TEXT_SIZE];
	switch (blocked_set(user, blocked, &e)) {
	case BLOCKED_DONE:
		tell_change(user, blocked);
		done(c, request, EX_OK, "");
		break;
	case BLOCKED_SO_ALREADY:
		done(c, request, 1, blocked ? "is blocked already" : "is not blocked");
		break;
	case BLOCKED_REFUSED:
		done(c, request, EX_USAGE, e.text);
		break;
	case BLOCKED_NOT_WRITTEN:
		tell_change(user, blocked);
		log_error("%s", e.text);
		if (!loop_timer_active(&saver))
			loop_timer_start(&saver, SAVE_AGAIN_US, save_again, NULL);
		snprintf(text, sizeof(text), "in force only until the server stops: %.300s",
			 e.text);
		done(c, request, EX_TEMPFAIL, text);
		break;
	}
}

static void on_ask(struct channel *c, const void *record)
{
	const struct usage_ask *m = record;
	char user[USAGE_USER_MAX + 1];
	struct slice name = slice_make(user, m->user.len);
	slice_lower(m->user, user);
	if (m->verb == USAGE_LIST)
		listing_begin(c, m->request, name);
	else if (m->verb == USAGE_BLOCK || m->verb == USAGE_UNBLOCK)
		block(c, m->request, name, m->verb == USAGE_BLOCK);
	else
		done(c, m->request, EX_USAGE, "there is no such verb");
}

/* Life */

void questions_submission_up(struct channel *c, unsigned instance)
{
	struct asker *a = memory_zero(1, sizeof(*a));
	(void)instance;
	a->channel = c;
	TAILQ_INSERT_TAIL(&askers, a, link);
	tell_all_blocked(c);
}

void questions_submission_down(struct channel *c)
{
	struct asker *a = asker_of(c);
	TAILQ_REMOVE(&askers, a, link);
	memory_free(a->hashes);
	memory_free(a);
}

void questions_accounts_up(struct channel *c, unsigned instance)
{
	struct usage_blocked_end end = {.count = (uint32_t)blocked_count()};
	(void)instance;
	accounts = c;
	tell_all_blocked(c);
	channel_send(c, USAGE_BLOCKED_END, &end);
}

void questions_accounts_down(struct channel *c)
{
	(void)c;
	accounts = NULL;
}

void questions_control_up(struct channel *c, unsigned instance)
{
	(void)instance;
	listing_watch(c);
}

void questions_control_down(struct channel *c)
{
	listing_forget(c);
}

const struct route submission_routes[] = {
    {USAGE_SENDS, ROUTE_ALWAYS, on_sends},
    {USAGE_TO, ROUTE_ALWAYS, on_to},
    {0, 0, NULL},
};
const struct route accounts_routes[] = {{0, 0, NULL}};
const struct route control_routes[] = {
    {USAGE_ASK, ROUTE_ALWAYS, on_ask},
    {0, 0, NULL},
};
