/*
 * Orphans: outcomes of jobs that a manager before this one gave, or that nobody remembers. The
 * message is at rest: its state is loaded, the outcome is written, and it rests again.
 */
#include <errno.h>

#include "common/base/memory.h"
#include "queue/manager/manager.h"

struct orphan {
	unsigned agent;
	uint64_t message;
	uint32_t recipient, attempt;
	enum recipient_status status;
	struct reply reply;
	char text[JOB_TEXT_MAX];
};

static void log_orphan(const struct orphan *o)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, o->message,
		  o->status == RECIPIENT_DELIVERED ? "delivered" : "deferred");
	log_number(&line, "recipient", o->recipient);
	log_text(&line, "reply", "%u %.*s", o->reply.code, SLICE_FMT(o->reply.text));
	log_end(&line);
}

/* Is that recipient still where the job left it? A later attempt's outcome is another's. */
static bool is_awaited(const struct entry *e, const struct orphan *o)
{
	const struct recipient_state *r;

	if (o->recipient >= e->state->count)
		return false;
	r = &e->state->recipients[o->recipient];
	return !recipient_ended(r->status) && r->attempts == o->attempt;
}

static void conclude(struct orphan *o, struct entry *e)
{
	uint64_t now = manager_now(), next = 0;

	if (!is_awaited(e, o)) {
		if (stub_of(e)->active == NULL)
			spool_rest(manager.spool, e, e->disposition, e->next);
		return;
	}
	if (o->status == RECIPIENT_DEFERRED)
		next = schedule_retry_at(manager.schedule, manager_arrived(e), now);
	log_orphan(o);
	if (spool_result(manager.spool, e, o->recipient, o->status, next, &o->reply))
		return;
	if (stub_of(e)->active == NULL)
		spool_rest(manager.spool, e, e->disposition, e->next);
}

static void loaded(void *arg, struct entry *e, int err)
{
	struct orphan *o = arg;

	if (e != NULL && err == 0)
		conclude(o, e);
	agents_outcome(o->agent, o->message);
	memory_free(o);
}

static enum recipient_status status_of(const struct job_outcome *o)
{
	return o->status == JOB_DELIVERED ? RECIPIENT_DELIVERED
	       : o->status == JOB_FAILED  ? RECIPIENT_FAILED
					  : RECIPIENT_DEFERRED;
}

void orphan_outcome(unsigned agent, const struct job_outcome *from)
{
	struct entry *e = spool_get(manager.spool, from->message);
	struct orphan *o;
	int result;

	/* Ended already, or being tried again by us: that attempt's own outcome will count. */
	if (e == NULL || stub_of(e)->active != NULL) {
		agents_outcome(agent, from->message);
		return;
	}
	o = memory_zero(1, sizeof(*o));
	o->agent = agent;
	o->message = from->message;
	o->recipient = from->recipient;
	o->attempt = from->attempt;
	o->status = status_of(from);
	memcpy(o->text, from->text.ptr, from->text.len);
	o->reply = reply_of(from->code, from->enhanced, slice_make(o->text, from->text.len));
	result = e->state != NULL ? 1 : spool_load(manager.spool, e, loaded, o);
	if (result != 0)
		loaded(o, result == 1 ? e : NULL, 0);
}
