/*
 * A message becomes active: its state, then its record are loaded, each recipient that is due is
 * routed, jobs are queued. When nothing is under way any more it goes back to rest, or has ended.
 */
#include <errno.h>

#include "common/base/bytes.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/trap.h"
#include "queue/manager/manager.h"

void active_place(struct entry *e, enum transport transport, struct slice parked)
{
	struct stub *stub = stub_of(e);
	struct destination *at = NULL;

	if (stub->active != NULL || e->disposition != MESSAGE_QUEUED)
		return;
	if (parked.len > 0)
		at = schedule_destination(manager.schedule, transport, parked);
	/* More of them are never under way. */
	stub->schedule.recipients = e->alive < FEED_UNDER_WAY ? (uint16_t)e->alive : FEED_UNDER_WAY;
	schedule_wait(manager.schedule, &stub->schedule, e->next, manager_now(), at);
}

/* Trouble of our own, not of the message: a moment later, without an attempt counted. */
static void place_later(struct entry *e)
{
	if (e->disposition == MESSAGE_QUEUED)
		schedule_wait(manager.schedule, &stub_of(e)->schedule,
			      manager_now() + RETRY_SOON_US, manager_now(), NULL);
}

void active_arrived(void *arg, struct entry *e)
{
	(void)arg;
	report_arrived(e->id);
	stub_of(e)->schedule.origin = writers_origin(e->id);
	active_place(e, TRANSPORT_NONE, SLICE_EMPTY);
	/* What can't become active soon waits as a stub; what is held stays. */
	if (e->disposition == MESSAGE_HELD)
		spool_stays(manager.spool, e);
	if (e->disposition != MESSAGE_QUEUED || schedule_is_full(manager.schedule) ||
	    spool_counts(manager.spool)->states > 2 * SCHEDULE_ACTIVE_MESSAGES)
		spool_rest(manager.spool, e, e->disposition, e->next);
}

static bool attempt_open(const struct message_state *state)
{
	for (uint32_t i = 0; i < state->count; i++)
		if (state->recipients[i].status == RECIPIENT_ATTEMPT)
			return true;
	return false;
}

void active_looked_at(struct entry *e)
{
	bool held = !manager.agents_known || agents_hold(e->id);

	if (stub_of(e)->active == NULL && e->state != NULL && !(held && attempt_open(e->state)))
		spool_rest(manager.spool, e, e->disposition, e->next);
}

static void forget(struct active *a)
{
	manager.content_kept -= a->record.len;
	buffer_free(&a->record);
	feed_end(a);
	portions_free(a);
	map_free(&a->originals);
	arena_free(&a->arena);
	if (a->file >= 0)
		disk_close(a->file);
	memory_free(a);
}

void active_ended(void *arg, struct entry *e)
{
	struct stub *stub = stub_of(e);

	(void)arg;
	schedule_forget(manager.schedule, &stub->schedule, manager_now());
	if (stub->active != NULL) {
		feed_end(stub->active);
		stub->active->entry = NULL;
		stub->active = NULL;
	}
}

static void log_state(struct entry *e, const char *event, const char *why)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_ERROR, e->id, event);
	log_pair(&line, "why", slice_str(why));
	log_end(&line);
}

void active_corrupt(struct active *a, const char *why)
{
	a->corrupt = why;
	jobs_withdraw(a);
}

void active_killed(struct active *a, const char *why)
{
	spool_suspect(manager.spool, a->entry);
	if (a->entry->deaths >= DEATHS_MAX)
		active_corrupt(a, why);
}

void active_content_kept(struct active *a)
{
	manager.content_kept += a->record.len;
}

void active_content_spare(struct active *a)
{
	if (manager.content_kept <= CONTENT_KEPT_MAX || a->record.len == 0 || a->content > 0 ||
	    a->large)
		return;
	manager.content_kept -= a->record.len;
	buffer_free(&a->record);
	a->m.header = a->m.body = SLICE_EMPTY;
}

/* When is it tried again? What is due and was not tried, or is to be told and was not, has met
 * trouble of our own. */
static uint64_t next_attempt(const struct message_state *state)
{
	uint64_t now = manager_now(), next = UINT64_MAX;

	for (uint32_t i = 0; i < state->count; i++) {
		const struct recipient_state *r = &state->recipients[i];
		uint64_t at = now + RETRY_SOON_US;

		if (r->status == RECIPIENT_DEFERRED && r->next > now)
			at = r->next;
		else if (recipient_ended(r->status))
			continue;
		next = at < next ? at : next;
	}
	return next;
}

/* Where a message goes when nothing of it is under way. */
static void rest(struct active *a, struct entry *e)
{
	uint64_t next = next_attempt(e->state);

	if (e->disposition != MESSAGE_QUEUED) {
		/* the ledger could not read its state, and has set it aside */
		spool_rest(manager.spool, e, e->disposition, e->next);
	} else if (a->corrupt != NULL) {
		log_state(e, "corrupt", a->corrupt);
		spool_rest(manager.spool, e, MESSAGE_CORRUPT, 0);
	} else if (a->hold)
		spool_rest(manager.spool, e, MESSAGE_HELD, 0);
	else
		spool_rest(manager.spool, e, MESSAGE_QUEUED, next);
	spool_stays(manager.spool, e);
}

/* True: a report on it is under way. */
static bool tell(struct active *a)
{
	const struct entry *e = a->entry;

	if (!a->ready || a->hold || a->remove || a->corrupt != NULL || e->state == NULL ||
	    e->disposition != MESSAGE_QUEUED)
		return false;
	if (a->bounce)
		result_fail_rest(a);
	return report_begin(a);
}

void active_settle(struct active *a)
{
	struct entry *e = a->entry;

	portions_spare(a);
	if (e != NULL && feed_goes_on(a))
		return;
	if (a->routing > 0 || a->siting > 0)
		return;
	if (e != NULL)
		jobs_group(a);
	if (a->open > 0 || a->reading > 0 || a->report != NULL)
		return;
	if (e != NULL && tell(a))
		return;
	e = a->entry;
	if (e == NULL) {
		forget(a);
		return;
	}
	schedule_forget(manager.schedule, &stub_of(e)->schedule, manager_now());
	stub_of(e)->active = NULL;
	if (a->remove)
		spool_delete(manager.spool, e);
	else if (e->state == NULL && a->hold)
		spool_dispose(manager.spool, e, MESSAGE_HELD, 0);
	else if (e->state == NULL) /* it could not be loaded now */
		place_later(e);
	else {
		rest(a, e);
		active_place(e, a->parked_at, a->parked);
	}
	forget(a);
}

/* Of many, by a map that is made when the first is looked for; the first of equal ones counts. */
static const struct stored_recipient *find_original(struct active *a, struct slice original)
{
	struct stored_recipient *r = a->recipients, *found;

	if (a->originals == NULL) {
		a->originals = map_new();
		for (uint32_t i = a->m.recipient_count; i > 0; i--)
			map_put(a->originals, r[i - 1].address, &r[i - 1]);
	}
	found = map_get(a->originals, original);
	if (found != NULL)
		a->last_original = (uint32_t)(found - r);
	return found;
}

const struct stored_recipient *active_received(struct active *a, uint32_t recipient,
					       struct slice original)
{
	const struct stored_recipient *r = a->recipients;
	uint32_t count = a->m.recipient_count;

	if (recipient < count)
		return &r[recipient];
	/* Those that came from one stand together. */
	if (a->last_original < count && slice_equal(r[a->last_original].address, original))
		return &r[a->last_original];
	if (count > FEED_AT_ONCE)
		return find_original(a, original);
	for (uint32_t i = 0; i < count; i++) {
		if (!slice_equal(r[i].address, original))
			continue;
		a->last_original = i;
		return &r[i];
	}
	return NULL;
}

/* Keeps what the record says beyond the record's own memory; but that of a message to many is kept
 * itself. */
static bool keep_envelope(struct active *a)
{
	uint32_t count = a->m.recipient_count;

	a->sender = arena_copy(&a->arena, a->m.reverse_path);
	a->client = arena_copy(&a->arena, a->m.client);
	a->trace = arena_copy(&a->arena, a->m.trace);
	a->envid = arena_copy(&a->arena, a->m.envid);
	a->large = count > FEED_AT_ONCE;
	if (a->large) {
		a->recipients = a->m.recipients;
		return true;
	}
	a->recipients = arena_get(&a->arena, count * sizeof(*a->recipients));
	if (a->recipients == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct stored_recipient *r = &a->recipients[i];

		*r = a->m.recipients[i];
		r->address = arena_copy(&a->arena, r->address);
		r->orcpt = arena_copy(&a->arena, r->orcpt);
		if (r->orcpt.ptr == NULL)
			return false;
	}
	return true;
}

/* Questions and jobs have limits; smtpd keeps to them, a writer that was taken over need not. */
static bool can_be_sent(const struct stored_message *m)
{
	if (m->reverse_path.len > ROUTER_ADDRESS_MAX || m->trace.len > JOB_TRACE_MAX)
		return false;
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].address.len > ROUTER_ADDRESS_MAX)
			return false;
	return true;
}

static bool decode(struct active *a)
{
	struct slice record = buffer_slice(&a->record);
	struct error error;

	trap_see("envelope", record);
	if (!record_decode_checked(record, &a->arena, &a->m, &error)) {
		active_corrupt(a, "its record can't be read by this version");
		return false;
	}
	if (!spool_known(manager.spool, a->entry, record, &a->m) || !keep_envelope(a)) {
		active_corrupt(a, "its record does not fit the ledger");
		return false;
	}
	return true;
}

static void record_there(struct active *a)
{
	bool good;

	active_content_kept(a);
	if (!spool_look(manager.spool, a->id)) {
		active_corrupt(a, "the queue manager dies of its record");
		return;
	}
	good = decode(a);
	spool_looked(manager.spool);
	if (!good || a->entry == NULL)
		return;
	if (!can_be_sent(&a->m)) {
		active_corrupt(a, "its envelope is larger than any that is accepted");
		return;
	}
	a->ready = true;
	a->origin = crc32c(0, a->client.ptr, a->client.len);
	active_content_spare(a);
	feed_begin(a);
}

static void on_record(void *arg, int err)
{
	struct active *a = arg;

	a->reading--;
	if (a->entry != NULL && err == 0)
		record_there(a);
	else if (a->entry != NULL && (err == EBADMSG || err == ENOENT))
		active_corrupt(a, "its record in the spool is damaged");
	else if (a->entry != NULL)
		log_warning("a record can't be read now: %s", strerror(err));
	active_settle(a);
}

static void read_record(struct active *a)
{
	a->reading++;
	switch (spool_read(manager.spool, a->entry, &a->record, on_record, a)) {
	case 1:
		on_record(a, 0);
		break;
	case -1:
		on_record(a, errno);
		break;
	}
}

static void on_state(void *arg, struct entry *e, int err)
{
	struct active *a = arg;

	a->reading--;
	if (e == NULL || err != 0)
		active_settle(a);
	else
		read_record(a);
}

void active_begin(struct entry *e)
{
	struct active *a;

	/* Set aside while it waited: what moves and states it has found it damaged. */
	if (e->disposition != MESSAGE_QUEUED) {
		schedule_forget(manager.schedule, &stub_of(e)->schedule, manager_now());
		return;
	}
	/* An agent is at it still, by order of a manager before us: its outcome comes first. */
	if (agents_hold(e->id)) {
		place_later(e);
		return;
	}
	a = memory_zero(1, sizeof(*a));

	a->entry = e;
	a->id = e->id;
	a->file = -1;
	a->first = true;
	arena_init(&a->arena, ACTIVE_ARENA_MAX);
	buffer_init(&a->record, RECORD_LENGTH_MAX);
	TAILQ_INIT(&a->jobs);
	TAILQ_INIT(&a->loose);
	TAILQ_INIT(&a->portions);
	stub_of(e)->active = a;
	if (e->state != NULL) {
		read_record(a);
		return;
	}
	a->reading++;
	switch (spool_load(manager.spool, e, on_state, a)) {
	case 1:
		on_state(a, e, 0);
		break;
	case -1:
		on_state(a, e, errno);
		break;
	}
}
