/*
 * Giving jobs: what the schedule picks is written to the ledger as attempts, and leaves after the
 * flush with its content. Suspects go a few at a time, or alone.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/os/clock.h"
#include "common/os/disk.h"
#include "queue/manager/jobs.h"

bool content_there(const struct active *a)
{
	return a->m.file.number != 0 ? a->file >= 0 : a->record.len > 0;
}

/* May an attempt of this number have died before? What an agent's death took back is pending again,
 * with the number free: in this life it is a suspect; of mail from a former one nobody knows. */
static bool may_be_again(const struct job *j)
{
	return j->suspect || manager_arrived(j->active->entry) < manager.started;
}

static void job_describe(const struct job *j, struct job_start *start)
{
	struct active *a = j->active;
	const struct delivery *d = TAILQ_FIRST(&j->deliveries);
	const struct stored_recipient *r = active_received(a, d->recipient, d->original);

	*start = (struct job_start){
	    .message = a->entry->id,
	    .recipient = d->recipient,
	    .attempt = d->attempt,
	    .again = may_be_again(j),
	    .sender = a->sender,
	    .address = d->address,
	    .original = d->original,
	    .more = j->count - 1,
	    .notify = r != NULL ? r->notify : 0,
	    .orcpt = r != NULL ? r->orcpt : SLICE_EMPTY,
	    .flags = a->m.flags,
	    .envid = a->envid,
	    .content = a->m.content_flags,
	    .next_hop = j->next_hop,
	    .destination = j->destination,
	    .deliver = d->deliver,
	    .user = d->user,
	    .domain = d->domain,
	    .arrived = a->m.arrived,
	    .size = a->m.content_size,
	    .trace = a->trace,
	    .fd = -1,
	};
}

void content_describe(const struct active *a, struct job_start *start)
{
	const struct stored_file *f = &a->m.file;

	start->file = f->number;
	if (f->number == 0) {
		start->header = a->m.header;
		start->body = a->m.body;
		return;
	}
	start->file_nonce = slice_make(f->nonce, NONCE_SIZE);
	start->file_digest = slice_make(f->digest, DIGEST_SIZE);
	start->body_offset = f->body_offset;
	start->body_length = f->body_length;
	start->header_offset = f->header_offset;
	start->header_length = f->header_length;
	start->fd = a->file;
}

/* A job that could not be queued in the channel stays PICKED: it leaves in a later turn. With room
 * for its start there is room for the rest, or the channel breaks. */
static bool job_send(struct job *j, struct channel *to)
{
	const struct delivery *d = TAILQ_FIRST(&j->deliveries);
	struct job_start start;

	job_describe(j, &start);
	content_describe(j->active, &start);
	if (!channel_send(to, JOB_START, &start))
		return false;
	while ((d = TAILQ_NEXT(d, link)) != NULL) {
		const struct stored_recipient *r =
		    active_received(j->active, d->recipient, d->original);
		struct job_more more = {
		    .message = start.message,
		    .recipient = d->recipient,
		    .attempt = d->attempt,
		    .address = d->address,
		    .original = d->original,
		    .notify = r != NULL ? r->notify : 0,
		    .orcpt = r != NULL ? r->orcpt : SLICE_EMPTY,
		};

		if (!channel_send(to, JOB_MORE, &more)) {
			channel_break(to, "has no room for the rest of a job");
			break;
		}
	}
	return true;
}

static void content_came(struct active *a, int err)
{
	struct job *j, *next;

	a->reading--;
	if (err == EBADMSG || err == ENOENT)
		active_corrupt(a, "its content in the spool is damaged");
	else if (err != 0)
		log_warning("a message's content can't be read now: %s", strerror(err));
	TAILQ_FOREACH_SAFE (j, &a->jobs, sibling, next) {
		if (j->place != JOB_UNREAD)
			continue;
		if (err == 0)
			job_move(j, JOB_PICKED);
		else
			job_take_back(j);
	}
	if (a->report != NULL)
		report_content_came(a, err);
	else
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
	if (err == 0 && !record_decode_checked(buffer_slice(&a->record), &scratch, &m, &error))
		err = EBADMSG;
	if (err == 0) {
		a->m.header = m.header;
		a->m.body = m.body;
	}
	arena_free(&scratch);
	active_content_kept(a);
	content_came(a, err);
}

void content_fetch(struct active *a)
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

/* Writes the attempts; the job leaves after the flush, once its content is there. */
static void give(struct job *j, unsigned agent)
{
	struct active *a = j->active;
	struct delivery *d;

	TAILQ_FOREACH (d, &j->deliveries, link) {
		d->attempt = a->entry->state->recipients[d->recipient].attempts + 1u;
		spool_attempt(manager.spool, a->entry, d->recipient);
	}
	job_move(j, JOB_NOWHERE);
	j->agent = (uint8_t)agent;
	j->outcome = OUTCOME_NONE;
	if (content_there(a)) {
		job_move(j, JOB_PICKED);
		return;
	}
	job_move(j, JOB_UNREAD);
	if (a->reading == 0)
		content_fetch(a);
}

/* May a suspect go beside what the agent has? */
static bool fits_beside(const struct job *j, unsigned agent)
{
	size_t given = jobs_given(agent);

	return given == 0 || (!j->alone && !jobs_given_alone(agent) && given < SUSPECTS_TOGETHER);
}

/* Beside suspects are suspects only; where one agent has all, the others wait for them. */
static void give_suspects(enum transport t)
{
	unsigned agent = agent_for(t, true);
	struct job *j;

	if (agent_channel(agent) == NULL || agent_holds(agent))
		return;
	while ((j = TAILQ_FIRST(jobs_at(JOB_SUSPECT, t))) != NULL && fits_beside(j, agent))
		give(j, agent);
}

static bool has_suspects(unsigned agent, enum transport t)
{
	return !TAILQ_EMPTY(jobs_at(JOB_SUSPECT, t)) || jobs_given_suspect(agent);
}

static void give_jobs(enum transport t)
{
	unsigned agent = agent_for(t, false);
	struct schedule_job *j;

	give_suspects(t);
	if (agent == agent_for(t, true) && has_suspects(agent, t))
		return;
	for (uint32_t n = 0; n < JOBS_STEP;) {
		j = schedule_pick(manager.schedule, t, manager_now());
		if (j == NULL)
			break;
		n += container_of(j, struct job, scheduled)->count;
		give(container_of(j, struct job, scheduled), agent); /* it may be gone now */
	}
}

/* "mx.example.org:25 failed several times and is left alone until 2026-11-24 06:04:05 UTC: REPLY".
 */
static struct slice dead_text(const struct destination *d, char *text, size_t size)
{
	time_t until =
	    (time_t)manager_wall(destination_dead_until(d, manager_now()) + CLOCK_SECOND - 1);
	struct slice key = destination_key(d);
	struct slice reply = destination_reply(d);
	char time[40] = "";
	struct tm tm;
	int len;

	if (gmtime_r(&until, &tm) != NULL)
		strftime(time, sizeof(time), "%Y-%m-%d %H:%M:%S UTC", &tm);
	len = snprintf(text, size, "%.*s failed several times and is left alone until %s%s%.*s",
		       SLICE_FMT(slice_sub(key, 0, 200)), time, reply.len > 0 ? "; it said " : "",
		       SLICE_FMT(reply));
	return slice_make(text, (size_t)len < size ? (size_t)len : size - 1);
}

/* All recipients of a job whose destination is dead. */
static void job_defer_dead(struct job *j)
{
	char key_text[DESTINATION_KEY_MAX], text[JOB_TEXT_MAX];
	struct active *a = j->active;
	struct slice key = arena_copy(&a->arena, job_key(j, key_text));
	struct destination *dead;
	struct delivery *d;
	struct result r = {
	    .status = RECIPIENT_DEFERRED,
	    .reply = {.code = 451, .enhanced = {4, 4, 1}},
	};

	if (j->transport != TRANSPORT_SMTP)
		r.reply.enhanced[1] = 2, r.reply.enhanced[2] = 0;
	dead = schedule_destination(manager.schedule, j->transport, key);
	r.reply.text = dead_text(dead, text, sizeof(text));
	r.not_before = destination_dead_until(dead, manager_now());
	a->tried = true;
	a->parked = key;
	a->parked_at = j->transport;
	while ((d = TAILQ_FIRST(&j->deliveries)) != NULL) {
		r.recipient = d->recipient;
		r.address = d->address;
		r.original = d->original;
		delivery_close(d);
		if (a->entry != NULL)
			result_take(a, &r);
	}
	job_close(j);
	active_settle(a);
}

/* A destination that is dead is not asked: its mail waits until it is tried again. */
static void defer_dead(enum transport t)
{
	struct schedule_job *j;

	for (uint32_t n = 0; n < JOBS_STEP;) {
		j = schedule_pick_dead(manager.schedule, t, manager_now());
		if (j == NULL)
			break;
		n += container_of(j, struct job, scheduled)->count;
		job_defer_dead(container_of(j, struct job, scheduled));
	}
}

static void send_picked(void)
{
	struct job *j, *next;

	TAILQ_FOREACH_SAFE (j, jobs_at(JOB_PICKED, 0), link, next) {
		struct channel *to = agent_channel(j->agent);

		if (to == NULL || channel_queued(to) > CHANNEL_QUEUE_MAX / 4 || !job_send(j, to))
			continue;
		job_move(j, JOB_OUT);
		active_content_spare(j->active);
	}
}

void jobs_pump(void)
{
	if (!manager.draining && spool_safe(manager.spool)) {
		for (unsigned t = 0; t < TRANSPORTS; t++) {
			give_jobs(t);
			defer_dead(t);
		}
	}
	if (TAILQ_EMPTY(jobs_at(JOB_PICKED, 0)) || !spool_flush(manager.spool))
		return;
	send_picked();
}
