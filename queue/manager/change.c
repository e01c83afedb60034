/*
 * What an administrator does to a message: hold, release, retry, delete, return. One that is active
 * takes it when nothing of it is with an agent any more.
 */
#include "queue/manager/admin.h"

static void log_change(const struct entry *e, const char *event)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, e->id, event);
	log_pair(&line, "by", SLICE("administrator"));
	log_end(&line);
}

static bool hold(struct entry *e)
{
	struct active *a = stub_of(e)->active;

	if (e->disposition != MESSAGE_QUEUED || (a != NULL && (a->hold || a->remove)))
		return false;
	log_change(e, "held");
	if (a != NULL) {
		a->hold = true;
		jobs_withdraw(a);
		report_withdraw(a);
		active_settle(a);
		return true;
	}
	schedule_forget(manager.schedule, &stub_of(e)->schedule, manager_now());
	spool_dispose(manager.spool, e, MESSAGE_HELD, 0);
	spool_stays(manager.spool, e);
	return true;
}

static bool release(struct entry *e)
{
	struct active *a = stub_of(e)->active;

	if (a != NULL && a->hold) { /* it was not held yet; what was taken back comes soon */
		log_change(e, "released");
		a->hold = false;
		return true;
	}
	if (e->disposition == MESSAGE_QUEUED)
		return false;
	log_change(e, "released");
	spool_dispose(manager.spool, e, MESSAGE_QUEUED, manager_now());
	active_place(e, TRANSPORT_NONE, SLICE_EMPTY);
	stub_of(e)->schedule.urged = true;
	return true;
}

static bool retry(struct entry *e)
{
	if (!schedule_hurry(manager.schedule, &stub_of(e)->schedule, manager_now()))
		return false;
	/* Whoever says so has mended the mailbox, maybe: the wait after failures ends too. */
	stub_of(e)->schedule.urged = true;
	log_change(e, "retried");
	return true;
}

static bool remove_message(struct entry *e)
{
	struct active *a = stub_of(e)->active;

	if (a != NULL && a->remove)
		return false;
	log_change(e, "deleted");
	if (a == NULL) {
		spool_delete(manager.spool, e);
		return true;
	}
	a->remove = true;
	jobs_withdraw(a);
	report_withdraw(a);
	active_settle(a);
	return true;
}

/* What has not ended fails for good: at rest its state is loaded. Then it becomes active, and its
 * sender is told. */
static bool bounce(struct entry *e)
{
	static const struct reply reply = {
	    .code = 554, .enhanced = {5, 0, 0}, .text = {"returned by the administrator", 29}};
	struct active *a = stub_of(e)->active;

	if (e->disposition == MESSAGE_CORRUPT || (a != NULL && (a->bounce || a->remove)) ||
	    (a == NULL && e->state == NULL))
		return false;
	log_change(e, "returned");
	if (a != NULL) {
		a->bounce = true;
		a->hold = false;
		jobs_withdraw(a);
		active_settle(a);
		return true;
	}
	for (uint32_t i = 0; i < e->state->count; i++)
		if (e->state->recipients[i].status < RECIPIENT_FAILED)
			spool_result(manager.spool, e, i, RECIPIENT_FAILED, 0, &reply);
	schedule_forget(manager.schedule, &stub_of(e)->schedule, manager_now());
	spool_dispose(manager.spool, e, MESSAGE_QUEUED, manager_now());
	active_place(e, TRANSPORT_NONE, SLICE_EMPTY);
	return true;
}

bool change_message(uint32_t verb, struct entry *e)
{
	switch (verb) {
	case QUEUE_HOLD:
		return hold(e);
	case QUEUE_RELEASE:
		return release(e);
	case QUEUE_RETRY:
		return retry(e);
	case QUEUE_BOUNCE:
		return bounce(e);
	case QUEUE_DELETE:
		return remove_message(e);
	}
	return false;
}
