/*
 * Jobs: what the schedule picks is written to the ledger as an attempt, and then given to the
 * agent with the content. An outcome comes back once; an agent that died makes its jobs suspect.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/manager/manager.h"

enum { DESTINATION_KEY_MAX = 400 };

static struct delivery_list suspects = TAILQ_HEAD_INITIALIZER(suspects);
static struct delivery_list unread = TAILQ_HEAD_INITIALIZER(unread);
static struct delivery_list picked = TAILQ_HEAD_INITIALIZER(picked);
static struct delivery_list out[AGENTS] = {TAILQ_HEAD_INITIALIZER(out[0]),
					   TAILQ_HEAD_INITIALIZER(out[1])};
static size_t given[AGENTS]; /* deliveries UNREAD, PICKED or OUT */

size_t jobs_out(void)
{
	return given[AGENT_ALL] + given[AGENT_SUSPECTS];
}

static struct delivery_list *list_of(const struct delivery *d)
{
	switch (d->place) {
	case DELIVERY_SUSPECT:
		return &suspects;
	case DELIVERY_UNREAD:
		return &unread;
	case DELIVERY_PICKED:
		return &picked;
	case DELIVERY_OUT:
		return &out[d->agent];
	}
	return NULL;
}

static bool wants_content(const struct delivery *d)
{
	return d->place == DELIVERY_UNREAD || d->place == DELIVERY_PICKED;
}

static void delivery_move(struct delivery *d, enum delivery_place place)
{
	struct delivery_list *list = list_of(d);

	if (list != NULL)
		TAILQ_REMOVE(list, d, link);
	d->active->content -= wants_content(d);
	d->place = (uint8_t)place;
	d->active->content += wants_content(d);
	list = list_of(d);
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, d, link);
}

/* A mailbox is a destination. */
static struct slice destination_key_of(const struct delivery *d, char key[DESTINATION_KEY_MAX])
{
	int len = snprintf(key, DESTINATION_KEY_MAX, "%u:%.*s@%.*s", d->deliver, SLICE_FMT(d->user),
			   SLICE_FMT(d->domain));

	return slice_make(key, (size_t)len);
}

static void delivery_queue(struct delivery *d)
{
	char key[DESTINATION_KEY_MAX];
	struct active *a = d->active;

	delivery_move(d, DELIVERY_QUEUED);
	schedule_job_add(
	    manager.schedule, &d->job,
	    schedule_destination(manager.schedule, TRANSPORT_LOCAL, destination_key_of(d, key)),
	    a->origin, a->first, manager_now());
	a->first = false;
	if (a->entry != NULL && stub_of(a->entry)->schedule.urged)
		schedule_job_urge(&d->job, manager_now());
}

/* One that an agent has died of is tried where it can hurt nobody else. */
static void delivery_suspect(struct delivery *d)
{
	d->suspect = true;
	delivery_move(d, DELIVERY_SUSPECT);
}

void jobs_add(struct active *a, uint32_t recipient, const struct routed *to, struct slice original)
{
	struct delivery *d = arena_get(&a->arena, sizeof(*d));

	if (d == NULL) {
		log_error("a message has more deliveries than fit in memory: the rest waits");
		return; /* pending still: tried again soon */
	}
	*d = (struct delivery){
	    .active = a,
	    .recipient = recipient,
	    .deliver = to->deliver,
	    .address = to->address,
	    .original = original,
	    .user = to->user,
	    .domain = to->domain,
	};
	a->open++;
	TAILQ_INSERT_TAIL(&a->deliveries, d, sibling);
	if (a->entry->deaths > 0)
		delivery_suspect(d);
	else
		delivery_queue(d);
}

/* It is over with this delivery; the caller lets the message settle. */
static void delivery_close(struct delivery *d)
{
	struct active *a = d->active;

	if (d->place == DELIVERY_QUEUED && d->job.destination != NULL)
		schedule_job_remove(manager.schedule, &d->job, manager_now());
	delivery_move(d, DELIVERY_QUEUED);
	TAILQ_REMOVE(&a->deliveries, d, sibling);
	a->open--;
}

/* The job is back from an agent, or never left. */
static void job_back(struct delivery *d, enum schedule_outcome outcome)
{
	given[d->agent]--;
	delivery_move(d, DELIVERY_QUEUED);
	if (!d->suspect)
		schedule_job_done(manager.schedule, &d->job, outcome, manager_now());
}

/* The attempt does not take place; the recipient is pending again. */
static void take_back(struct delivery *d)
{
	struct active *a = d->active;

	job_back(d, OUTCOME_NONE);
	if (a->entry != NULL)
		spool_result(manager.spool, a->entry, d->recipient, RECIPIENT_PENDING, 0, NULL);
	delivery_close(d);
}

void jobs_withdraw(struct active *a)
{
	struct delivery *d, *next;

	TAILQ_FOREACH_SAFE (d, &a->deliveries, sibling, next) {
		if (wants_content(d))
			take_back(d);
		else if (d->place != DELIVERY_OUT)
			delivery_close(d);
	}
}

void jobs_recall(void)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&unread)) != NULL || (d = TAILQ_FIRST(&picked)) != NULL) {
		struct active *a = d->active;

		take_back(d);
		active_settle(a);
	}
}

/* Giving */

static bool content_there(const struct active *a)
{
	return a->m.file.number != 0 ? a->file >= 0 : a->record.len > 0;
}

/* A job that could not be queued in the channel stays PICKED: it leaves in a later turn. */
static bool job_send(struct delivery *d, struct channel *to)
{
	struct active *a = d->active;
	const struct stored_file *f = &a->m.file;
	struct job_start job = {
	    .message = a->entry->id,
	    .recipient = d->recipient,
	    .attempt = d->attempt,
	    .sender = a->sender,
	    .address = d->address,
	    .original = d->original,
	    .deliver = d->deliver,
	    .user = d->user,
	    .domain = d->domain,
	    .arrived = a->m.arrived,
	    .size = a->m.content_size,
	    .trace = a->trace,
	    .file = f->number,
	    .fd = -1,
	};

	if (f->number == 0) {
		job.header = a->m.header;
		job.body = a->m.body;
	} else {
		job.file_nonce = slice_make(f->nonce, NONCE_SIZE);
		job.file_digest = slice_make(f->digest, DIGEST_SIZE);
		job.body_offset = f->body_offset;
		job.body_length = f->body_length;
		job.header_offset = f->header_offset;
		job.header_length = f->header_length;
		job.fd = a->file;
	}
	return channel_send(to, JOB_START, &job);
}

static void content_came(struct active *a, int err)
{
	struct delivery *d, *next;

	a->reading--;
	if (err == EBADMSG || err == ENOENT)
		active_corrupt(a, "its content in the spool is damaged");
	else if (err != 0)
		log_warning("a message's content can't be read now: %s", strerror(err));
	TAILQ_FOREACH_SAFE (d, &a->deliveries, sibling, next) {
		if (d->place != DELIVERY_UNREAD)
			continue;
		if (err == 0)
			delivery_move(d, DELIVERY_PICKED);
		else
			take_back(d);
	}
	active_settle(a);
}

static void on_file(void *arg, int fd, int err)
{
	struct active *a = arg;

	a->file = fd;
	content_came(a, err);
}

static void on_content(void *arg, int err)
{
	struct active *a = arg;
	struct stored_message m;
	struct arena scratch;
	struct error error;

	arena_init(&scratch, ACTIVE_ARENA_MAX);
	if (err == 0 && !record_decode(buffer_slice(&a->record), &scratch, &m, &error))
		err = EBADMSG;
	if (err == 0) {
		a->m.header = m.header;
		a->m.body = m.body;
	}
	arena_free(&scratch);
	active_content_kept(a);
	content_came(a, err);
}

static void content_fetch(struct active *a)
{
	int result;

	a->reading++;
	if (a->m.file.number != 0) {
		spool_file_open(manager.spool, a->entry, on_file, a);
		return;
	}
	result = spool_read(manager.spool, a->entry, &a->record, on_content, a);
	if (result != 0)
		on_content(a, result == 1 ? 0 : errno);
}

/* Writes the attempt; the job leaves after the flush, once its content is there. */
static void give(struct delivery *d, unsigned agent)
{
	struct active *a = d->active;

	d->attempt = a->entry->state->recipients[d->recipient].attempts + 1u;
	spool_attempt(manager.spool, a->entry, d->recipient);
	delivery_move(d, DELIVERY_QUEUED);
	d->agent = (uint8_t)agent;
	given[agent]++;
	if (content_there(a)) {
		delivery_move(d, DELIVERY_PICKED);
		return;
	}
	delivery_move(d, DELIVERY_UNREAD);
	if (a->reading == 0)
		content_fetch(a);
}

static void give_jobs(void)
{
	struct schedule_job *j;

	for (int i = 0; i < JOBS_STEP; i++) {
		j = schedule_pick(manager.schedule, TRANSPORT_LOCAL, manager_now());
		if (j == NULL)
			break;
		give(container_of(j, struct delivery, job), AGENT_ALL);
	}
	if (given[AGENT_SUSPECTS] == 0 && !agent_holds(AGENT_SUSPECTS) &&
	    agent_channel(AGENT_SUSPECTS) != NULL && !TAILQ_EMPTY(&suspects))
		give(TAILQ_FIRST(&suspects), AGENT_SUSPECTS);
}

/* A destination that is dead is not asked: its mail waits until it is tried again. */
static void defer_dead(void)
{
	static const struct reply dead = {
	    .code = 451,
	    .enhanced = {4, 2, 0},
	    .text = {"the mailbox failed several times and is left alone for a while", 62},
	};
	struct schedule_job *j;

	for (int i = 0; i < JOBS_STEP; i++) {
		char key[DESTINATION_KEY_MAX];
		struct delivery *d;
		struct active *a;

		j = schedule_pick_dead(manager.schedule, TRANSPORT_LOCAL, manager_now());
		if (j == NULL)
			break;
		d = container_of(j, struct delivery, job);
		a = d->active;
		a->tried = true;
		a->parked = arena_copy(&a->arena, destination_key_of(d, key));
		active_result(a, d->recipient, d->address, d->original, RECIPIENT_DEFERRED, &dead);
		delivery_close(d);
		active_settle(a);
	}
}

static void send_picked(void)
{
	struct delivery *d, *next;

	TAILQ_FOREACH_SAFE (d, &picked, link, next) {
		struct channel *to = agent_channel(d->agent);

		if (to == NULL || channel_queued(to) > CHANNEL_QUEUE_MAX / 4 || !job_send(d, to))
			continue;
		delivery_move(d, DELIVERY_OUT);
		active_content_spare(d->active);
	}
}

void jobs_pump(void)
{
	if (!manager.draining && spool_safe(manager.spool)) {
		give_jobs();
		defer_dead();
	}
	if (TAILQ_EMPTY(&picked) || !spool_flush(manager.spool))
		return;
	send_picked();
}

/* Coming back */

static struct delivery *find_out(const struct job_outcome *o, unsigned agent)
{
	struct entry *e = spool_get(manager.spool, o->message);
	struct active *a = e != NULL ? stub_of(e)->active : NULL;
	struct delivery *d;

	if (a == NULL)
		return NULL;
	TAILQ_FOREACH (d, &a->deliveries, sibling) {
		if (d->recipient == o->recipient && d->place == DELIVERY_OUT && d->agent == agent &&
		    d->attempt == o->attempt)
			return d;
	}
	return NULL;
}

enum recipient_status job_status_of(const struct job_outcome *o)
{
	switch (o->status) {
	case JOB_DELIVERED:
		return RECIPIENT_DELIVERED;
	case JOB_FAILED:
		return RECIPIENT_FAILED;
	default:
		return RECIPIENT_DEFERRED;
	}
}

static enum schedule_outcome schedule_outcome_of(const struct job_outcome *o)
{
	if (o->status == JOB_DELIVERED)
		return OUTCOME_SUCCESS;
	return o->site ? OUTCOME_SITE : OUTCOME_MESSAGE;
}

void job_outcome(unsigned agent, const struct job_outcome *o)
{
	struct delivery *d = find_out(o, agent);
	struct reply reply = reply_of(o->code, o->enhanced, o->text);
	struct active *a;

	if (d == NULL) {
		orphan_outcome(agent, o);
		return;
	}
	a = d->active;
	job_back(d, schedule_outcome_of(o));
	a->tried = true;
	active_result(a, d->recipient, d->address, d->original, job_status_of(o), &reply);
	agent_note(agent, o->message, o->recipient, o->attempt);
	delivery_close(d);
	if (o->status == JOB_SPOILED)
		active_corrupt(a, "its content is not what was committed");
	active_settle(a);
}

/* What the dead agent held: alone in the suspects' agent it counts against the message. */
void job_agent_died(unsigned agent)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&out[agent])) != NULL) {
		struct active *a = d->active;

		job_back(d, OUTCOME_NONE);
		spool_result(manager.spool, a->entry, d->recipient, RECIPIENT_PENDING, 0, NULL);
		if (agent == AGENT_SUSPECTS)
			spool_suspect(manager.spool, a->entry);
		if (!a->hold && !a->remove && a->corrupt == NULL && a->entry->deaths < DEATHS_MAX) {
			delivery_suspect(d);
			continue;
		}
		delivery_close(d);
		if (a->entry->deaths >= DEATHS_MAX)
			active_corrupt(a, "agents die of it");
		active_settle(a);
	}
}
