/*
 * Orphans: outcomes of jobs that a manager before this one gave, or that nobody remembers. The
 * message is at rest: its state is loaded at the turn's end, the outcome is written, and it rests
 * again; until then it does not become active.
 */
#include <errno.h>

#include "common/base/memory.h"
#include "queue/manager/manager.h"

enum { ORPHANS_STEP = 1000 };

struct orphan {
	TAILQ_ENTRY(orphan) link; /* while its turn has not come */
	uint64_t not_before;	  /* queue time; after a read that failed */
	unsigned agent;
	uint64_t message;
	uint32_t recipient, attempt;
	enum recipient_status status;
	struct reply reply;
	char text[JOB_TEXT_MAX], relay[JOB_RELAY_MAX];
};

static TAILQ_HEAD(, orphan) orphans = TAILQ_HEAD_INITIALIZER(orphans);

static void log_orphan(const struct orphan *o)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, o->message,
		  o->status == RECIPIENT_FAILED	    ? "failed"
		  : o->status == RECIPIENT_DEFERRED ? "deferred"
						    : "delivered");
	log_number(&line, "recipient", o->recipient);
	if (o->reply.relay.len > 0)
		log_pair(&line, "relay", o->reply.relay);
	log_text(&line, "reply", "%u %.*s", o->reply.code, SLICE_FMT(o->reply.text));
	log_end(&line);
}

/* Is that recipient still where the job left it? A later attempt's outcome is another's, and one
 * that is written already counts once. No agent can end what none was given. */
static bool is_awaited(const struct entry *e, const struct orphan *o)
{
	const struct recipient_state *r;

	if (o->recipient >= e->state->count)
		return false;
	r = &e->state->recipients[o->recipient];
	return r->status == RECIPIENT_ATTEMPT && r->attempts == o->attempt;
}

static void conclude(struct orphan *o, struct entry *e)
{
	uint64_t now = manager_now(), next = 0;

	if (!is_awaited(e, o)) {
		active_looked_at(e);
		return;
	}
	if (o->status == RECIPIENT_DEFERRED)
		next = schedule_retry_at(manager.schedule, manager_arrived(e), now);
	log_orphan(o);
	if (!spool_result(manager.spool, e, o->recipient, o->status, next, &o->reply))
		active_looked_at(e);
}

static void loaded(void *arg, struct entry *e, int err)
{
	struct orphan *o = arg;

	if (e != NULL && err != 0 && err != EBADMSG) {
		o->not_before = manager_now() + RETRY_SOON_US;
		TAILQ_INSERT_TAIL(&orphans, o, link);
		return;
	}
	agents_kept(o->message);
	if (e != NULL && err == 0)
		conclude(o, e);
	agent_note(o->agent, o->message, o->recipient, o->attempt);
	memory_free(o);
}

/* False: no more can be loaded in this turn. */
static bool orphan_take(struct orphan *o)
{
	struct entry *e = spool_get(manager.spool, o->message);
	int result = 1;

	if (e != NULL && e->state == NULL)
		result = spool_load(manager.spool, e, loaded, o);
	if (result == -1 && errno == EAGAIN)
		return false;
	TAILQ_REMOVE(&orphans, o, link);
	if (result == 1)
		loaded(o, e, 0);
	else if (result == -1)
		loaded(o, e, errno);
	return true;
}

bool orphans_step(void)
{
	struct orphan *o, *next;
	uint64_t now = manager_now();
	int left = ORPHANS_STEP;

	/* Those whose read has failed wait; the manager's look each second is turn enough for them.
	 */
	TAILQ_FOREACH_SAFE (o, &orphans, link, next) {
		if (o->not_before > now)
			continue;
		if (left-- == 0)
			return true;
		if (!orphan_take(o))
			return false; /* the loads under way come back, and a turn's end with them
				       */
	}
	return false;
}

void orphan_outcome(unsigned agent, const struct job_outcome *from)
{
	struct entry *e = spool_get(manager.spool, from->message);
	struct orphan *o;

	/* Until it is written the message must not become active. */
	agents_keep(agent, from->message);
	/* Ended already, or being tried again by us: that attempt's own outcome will count. */
	if (e == NULL || stub_of(e)->active != NULL) {
		agents_kept(from->message);
		agent_note(agent, from->message, from->recipient, from->attempt);
		return;
	}
	o = memory_zero(1, sizeof(*o));
	o->agent = agent;
	o->message = from->message;
	o->recipient = from->recipient;
	o->attempt = from->attempt;
	o->status = job_status_of(from);
	/* Whether the sender wants to hear of it is known when the record is read. */
	if (o->status == RECIPIENT_DELIVERED && !from->dsn)
		o->status = RECIPIENT_REACHED;
	memcpy(o->text, from->text.ptr, from->text.len);
	o->reply = reply_of(from->code, from->enhanced, slice_make(o->text, from->text.len));
	memcpy(o->relay, from->relay.ptr, from->relay.len);
	o->reply.relay = slice_make(o->relay, from->relay.len);
	TAILQ_INSERT_TAIL(&orphans, o, link);
}
