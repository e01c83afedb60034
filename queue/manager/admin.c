/*
 * What an administrator asks: which messages, and what is to become of them. A question goes
 * through the index in steps, a bounded number a turn; nothing is answered from memory that the
 * disk does not say.
 */
#include <stdio.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "queue/manager/admin.h"

enum { QUESTIONS_MAX = 64 };

static TAILQ_HEAD(, question) questions = TAILQ_HEAD_INITIALIZER(questions);
static uint32_t question_count;
static struct channel *control;

bool admin_send(const struct question *q, uint16_t number, const void *record)
{
	return control != NULL && !q->cancelled && channel_send(control, number, record);
}

bool admin_room(void)
{
	return control == NULL || channel_queued(control) <= CHANNEL_QUEUE_MAX / 4;
}

void admin_done(struct question *q, uint32_t code, const char *text)
{
	struct queue_done done = {
	    .request = q->request,
	    .code = code,
	    .count = q->count,
	    .text = slice_str(text),
	};

	admin_send(q, QUEUE_DONE, &done);
	schedule_walk_end(&q->destinations);
	TAILQ_REMOVE(&questions, q, link);
	question_count--;
	memory_free(q);
}

const char *admin_state(const struct entry *e)
{
	switch (e->disposition) {
	case MESSAGE_HELD:
		return "hold";
	case MESSAGE_CORRUPT:
		return "corrupt";
	}
	if (stub_of((struct entry *)e)->active != NULL)
		return "active";
	/* Mail that was put off without an attempt, for its mailbox is left alone, waits too. */
	return e->attempts > 0 || e->next > manager_now() ? "deferred" : "incoming";
}

static bool changes(uint32_t verb)
{
	return verb == QUEUE_HOLD || verb == QUEUE_RELEASE || verb == QUEUE_RETRY ||
	       verb == QUEUE_DELETE || verb == QUEUE_BOUNCE;
}

static void answer_status(struct question *q)
{
	const struct index_counts *counts = spool_counts(manager.spool);
	struct queue_counts m = {.request = q->request};
	struct spool_status status;
	uint64_t jobs, queued = counts->by_disposition[MESSAGE_QUEUED];

	spool_status(manager.spool, &status);
	schedule_counts(manager.schedule, &m.deferred, &m.incoming, &m.active, &jobs);
	/* What is neither waiting, due nor active is just arriving. */
	if (queued > m.deferred + m.incoming + m.active)
		m.incoming = queued - m.deferred - m.active;
	m.hold = counts->by_disposition[MESSAGE_HELD];
	m.corrupt = counts->by_disposition[MESSAGE_CORRUPT];
	m.segments = status.segments;
	m.spool_bytes = status.segment_octets + status.ledger_octets;
	m.pressure = slice_str(writers_pressure_reason());
	admin_send(q, QUEUE_COUNTS, &m);
	admin_done(q, EX_OK, agents_missing());
}

static void verified(void *arg, const struct verify_result *r)
{
	struct question *q = arg;
	char text[400], unread[80] = "";
	bool good = r->complete && r->digest_equal && r->problems == 0;
	struct spool_status status;

	for (size_t i = 0; i < r->named; i++) {
		struct queue_line line = {.request = q->request, .text = slice_str(r->problem[i])};

		admin_send(q, QUEUE_LINE, &line);
	}
	/* A writer that outlived its master may be at its last commit: nobody reads there yet. */
	spool_status(manager.spool, &status);
	if (status.unscanned > 0)
		snprintf(unread, sizeof(unread), "; segments not read yet: %zu", status.unscanned);
	snprintf(text, sizeof(text),
		 "messages: %zu in memory, %zu on disk; read: %zu records, %zu large files; "
		 "problems: %zu%s",
		 r->messages, r->disk_messages, r->records, r->files, r->problems, unread);
	q->count = r->messages;
	admin_done(q, good ? EX_OK : r->complete ? 1 : EX_TEMPFAIL, text);
}

static struct question *question_new(const struct queue_ask *ask)
{
	struct question *q = memory_zero(1, sizeof(*q));

	q->request = ask->request;
	q->verb = ask->verb;
	q->id = ask->id;
	q->all = ask->all;
	q->older = ask->older;
	q->limit = ask->limit;
	slice_copy(ask->state, q->state, sizeof(q->state));
	slice_copy(ask->sender, q->sender, sizeof(q->sender));
	slice_copy(ask->recipient, q->recipient, sizeof(q->recipient));
	slice_copy(ask->user, q->user, sizeof(q->user));
	TAILQ_INSERT_TAIL(&questions, q, link);
	question_count++;
	return q;
}

static bool selects_something(const struct question *q)
{
	return q->id != 0 || q->all || q->state[0] || q->sender[0] || q->recipient[0] ||
	       q->user[0] || q->older > 0;
}

static void on_ask(struct channel *c, const void *record)
{
	const struct queue_ask *ask = record;
	struct question *q;

	if (question_count == QUESTIONS_MAX) {
		struct queue_done busy = {
		    .request = ask->request,
		    .code = EX_TEMPFAIL,
		    .text = SLICE("too many questions at once"),
		};

		channel_send(c, QUEUE_DONE, &busy);
		return;
	}
	q = question_new(ask);
	if (q->verb == QUEUE_STATUS)
		answer_status(q);
	else if (changes(q->verb) && !selects_something(q))
		admin_done(q, EX_USAGE, "say which messages: an id, a selector, or all");
	else if (q->verb == QUEUE_VERIFY && !spool_verify(manager.spool, verified, q))
		admin_done(q, EX_TEMPFAIL, "another verify is under way");
}

static void on_cancel(struct channel *c, const void *record)
{
	const struct queue_cancel *m = record;
	struct question *q;

	(void)c;
	TAILQ_FOREACH (q, &questions, link)
		if (q->request == m->request)
			q->cancelled = true;
}

static void on_pause(struct channel *c, const void *record)
{
	const struct queue_pause *m = record;
	struct question *q;

	(void)c;
	TAILQ_FOREACH (q, &questions, link)
		if (q->request == m->request)
			q->waits = m->wait;
}

bool admin_step(void)
{
	struct question *q, *next;
	bool more = false;

	TAILQ_FOREACH_SAFE (q, &questions, link, next) {
		if (q->verb == QUEUE_VERIFY)
			continue;
		if (q->cancelled && q->reading == 0)
			admin_done(q, EX_OK, "");
		else if (q->waits && !q->cancelled)
			continue;
		else if (!admin_room())
			continue; /* its reader is slow: the walk goes on when there is room */
		else
			more |= q->verb == QUEUE_DESTINATIONS ? destinations_step(q) : walk_step(q);
	}
	return more;
}

const struct route admin_routes[] = {
    {QUEUE_ASK, ROUTE_ALWAYS, on_ask},
    {QUEUE_CANCEL, ROUTE_ALWAYS, on_cancel},
    {QUEUE_PAUSE, ROUTE_ALWAYS, on_pause},
    {0, 0, NULL},
};

static void room(struct channel *c)
{
	(void)c; /* to be woken is enough: a turn's end follows */
}

void admin_up(struct channel *c, unsigned instance)
{
	(void)instance;
	control = c;
	channel_on_room(c, room);
}

void admin_down(struct channel *c)
{
	struct question *q;

	(void)c;
	control = NULL;
	TAILQ_FOREACH (q, &questions, link)
		q->cancelled = true;
}
