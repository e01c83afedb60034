/*
 * A name is one entry: waiting for a look-up, being looked up, or known. An answer goes out only
 * over the channel that its question came by: another accounts counts its questions anew.
 */
#include "daemons/accounts-system/answer.h"

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/dialogue/accounts.h"
#include "common/os/loop.h"
#include "common/os/user.h"
#include "common/wire/codec.h"
#include "daemons/accounts-system/children.h"
#include "daemons/accounts-system/passwords.h"

struct question {
	STAILQ_ENTRY(question) next;
	uint64_t request;
	uint64_t channel; /* number of the channel */
};

enum entry_state { ENTRY_WAITS, ENTRY_ASKED, ENTRY_KNOWN };

struct entry {
	TAILQ_ENTRY(entry) link; /* in `waiting` or in `known`, which begins with the oldest */
	char name[USER_NAME_MAX + 1];
	enum entry_state state;
	STAILQ_HEAD(, question) questions;
	char *answer; /* encoded, when known */
	size_t answer_len;
	uint64_t until; /* clock of the loop */
};

TAILQ_HEAD(entries, entry);

static struct map *by_name;
static struct entries waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct entries known = TAILQ_HEAD_INITIALIZER(known);
static size_t known_count, question_count;
static struct channel *accounts; /* NULL: none now */
static uint64_t accounts_number; /* counts its channels */

static void entry_free(struct entry *e)
{
	map_remove(by_name, slice_str(e->name));
	if (e->state == ENTRY_KNOWN) {
		TAILQ_REMOVE(&known, e, link);
		known_count--;
	}
	memory_free(e->answer);
	memory_free(e);
}

static void send_answer(uint64_t request, const struct accounts_answer *answer)
{
	struct accounts_answer m = *answer;
	m.request = request;
	channel_send(accounts, ACCOUNTS_ANSWER, &m);
}

static void send_trouble(uint64_t request, const char *text)
{
	struct accounts_answer m = {.result = ACCOUNTS_TROUBLE, .text = slice_str(text)};
	send_answer(request, &m);
}

static void answer_all(struct entry *e, const struct accounts_answer *answer)
{
	struct question *q;
	while ((q = STAILQ_FIRST(&e->questions))) {
		STAILQ_REMOVE_HEAD(&e->questions, next);
		if (accounts && q->channel == accounts_number)
			send_answer(q->request, answer);
		question_count--;
		memory_free(q);
	}
}

/* The oldest go first: those of a short life soon, all of them when there are too many. */
static void keep(struct entry *e, struct slice octets, enum accounts_result result)
{
	e->state = ENTRY_KNOWN;
	e->answer = memory_get(octets.len);
	memcpy(e->answer, octets.ptr, octets.len);
	e->answer_len = octets.len;
	e->until = loop_now() + (result == ACCOUNTS_KNOWN ? ANSWER_KNOWN_US : ANSWER_MISSING_US);
	TAILQ_INSERT_TAIL(&known, e, link);
	if (++known_count > ANSWER_KEPT_MAX)
		entry_free(TAILQ_FIRST(&known));
}

static void looked_up(void *arg, struct slice octets, const char *text)
{
	struct entry *e = arg;
	struct accounts_answer a = {.result = ACCOUNTS_TROUBLE, .text = slice_str(text)};
	if (octets.len > 0 && !codec_decode(&accounts_answer_record, octets, &a))
		panic("an answer that was decoded does not decode");
	answer_all(e, &a);
	if (a.result == ACCOUNTS_TROUBLE)
		entry_free(e); /* the next question tries again */
	else
		keep(e, octets, a.result);
}

void answer_room(void)
{
	struct entry *e;
	while ((e = TAILQ_FIRST(&waiting)) &&
	       children_ask(CHILDREN_LOOKUP, slice_str(e->name), looked_up, e)) {
		TAILQ_REMOVE(&waiting, e, link);
		e->state = ENTRY_ASKED;
	}
}

static struct entry *entry_new(struct slice name)
{
	struct entry *e = memory_zero(1, sizeof(*e));
	slice_copy(name, e->name, sizeof(e->name));
	STAILQ_INIT(&e->questions);
	TAILQ_INSERT_TAIL(&waiting, e, link);
	map_put(by_name, slice_str(e->name), e);
	return e;
}

/* NULL when it is known no more. */
static struct entry *find(struct slice name)
{
	struct entry *e;
	if (!by_name)
		by_name = map_new();
	e = map_get(by_name, name);
	if (!e || e->state != ENTRY_KNOWN || loop_now() < e->until)
		return e;
	entry_free(e);
	return NULL;
}

static void wait_for(struct entry *e, uint64_t request)
{
	struct question *q = memory_get(sizeof(*q));
	*q = (struct question){.request = request, .channel = accounts_number};
	STAILQ_INSERT_TAIL(&e->questions, q, next);
	question_count++;
}

static void on_ask(struct channel *c, const void *record)
{
	const struct accounts_ask *m = record;
	struct accounts_answer a = {.result = ACCOUNTS_MISSING};
	struct entry *e;
	(void)c;
	if (!user_name_valid(m->user)) {
		send_answer(m->request, &a);
		return;
	}
	e = find(m->user);
	if (e && e->state == ENTRY_KNOWN) {
		codec_decode(&accounts_answer_record, slice_make(e->answer, e->answer_len), &a);
		send_answer(m->request, &a);
	} else if (question_count >= ANSWER_ASKED_MAX) {
		send_trouble(m->request, "too many questions at once");
	} else {
		wait_for(e ? e : entry_new(m->user), m->request);
		answer_room();
	}
}

const struct route answer_routes[] = {
    {ACCOUNTS_ASK, ROUTE_ALWAYS, on_ask},	      /* who is this? */
    {ACCOUNTS_PASSWORD, ROUTE_ALWAYS, passwords_ask}, /* does PAM accept this password? */
    {0, 0, NULL},
};

void answer_up(struct channel *c, unsigned instance)
{
	(void)instance;
	accounts = c;
	accounts_number++;
	passwords_up(c);
}

void answer_down(struct channel *c)
{
	if (accounts == c)
		accounts = NULL;
	passwords_down(c);
}
