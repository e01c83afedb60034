/*
 * commit: group commit. What became complete in a turn is one batch at the turn's end: one
 * pwritev, one fdatasync. A thread makes them, and the next batch gathers meanwhile, in a second
 * buffer; while few messages come together and the disk is fast, the loop does, when all else of
 * the turn has been sent.
 * A record is encoded into the buffer that is written; header and final zeros are beside it, so a
 * batch that does not fit into the segment is cut between two records without a copy.
 */
#include <errno.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "queue/store/writer_private.h"

/* Gathering */

static struct message *add_message(struct batch *b)
{
	if (b->count == b->size) {
		b->size = b->size ? b->size * 2 : 64;
		b->messages = memory_resize(b->messages, b->size, sizeof(*b->messages));
		b->entries = memory_resize(b->entries, b->size, sizeof(*b->entries));
	}
	return &b->messages[b->count++];
}

static void added(struct writer *w, size_t at, uint64_t file, writer_done *done, void *arg)
{
	struct batch *b = w->gathering;
	uint32_t length = (uint32_t)(b->octets.len - at);
	*add_message(b) = (struct message){done, arg, at, length, file};
	w->memory += length;
}

int commit_add(struct writer *w, const struct stored_message *m, writer_done *done, void *arg)
{
	struct buffer *b = &w->gathering->octets;
	size_t at = b->len;
	if (!record_encode(m, b))
		return b->len + RECORD_LENGTH_MAX > b->limit ? ENOSPC : E2BIG;
	added(w, at, 0, done, arg);
	return 0;
}

int commit_add_record(struct writer *w, struct slice record, uint64_t file, writer_done *done,
		      void *arg)
{
	struct buffer *b = &w->gathering->octets;
	size_t at = b->len;
	if (!buffer_append(b, record))
		return ENOSPC;
	added(w, at, file, done, arg);
	return 0;
}

static void batch_clear(struct batch *b)
{
	b->count = b->next = 0;
	buffer_reset(&b->octets);
	if (b->octets.size > BATCH_KEEP)
		buffer_release(&b->octets);
}

/* The thread */

static uint8_t *message_record(const struct batch *b, const struct message *m)
{
	return (uint8_t *)b->octets.data + m->at; /* nothing is consumed: start is 0 */
}

static uint32_t seal_records(const struct commit_job *job)
{
	const struct batch *b = job->batch;
	const struct writer_lease *l = &job->lease->is;
	uint32_t octets = 0, mark = record_mark(l->number, l->nonce);
	for (size_t i = 0; i < job->count; i++) {
		const struct message *m = &b->messages[b->next + i];
		record_seal(message_record(b, m), job->lease->records + (uint32_t)i, mark);
		octets += m->length;
	}
	return octets;
}

static void write_entries(const struct commit_job *job, struct digest *hash)
{
	const struct batch *b = job->batch;
	uint64_t offset = job->lease->offset + BATCH_HEADER_SIZE;
	for (size_t i = 0; i < job->count; i++) {
		const struct message *m = &b->messages[b->next + i];
		struct writer_entry *e = &b->entries[b->next + i];
		struct slice record = slice_make(message_record(b, m), m->length);
		struct record_numbers numbers;
		record_read_numbers(record, &numbers);
		*e = (struct writer_entry){.id = get_u64(record.ptr + 16),
					   .offset = offset,
					   .length = m->length,
					   .ordinal = job->lease->records + (uint32_t)i,
					   .file = numbers.file,
					   .recipients = numbers.recipients,
					   .origin = numbers.origin,
					   .parent = numbers.parent,
					   .parent_mark = numbers.parent_mark,
					   .held = numbers.held};
		record_digest_with(hash, record, e->digest);
		offset += m->length;
	}
}

/* Header, records and zeros in one write, and one sync. */
static int write_and_sync(const struct commit_job *job, struct digest *hash)
{
	static const uint8_t zeros[BATCH_ALIGN];
	const struct batch *b = job->batch;
	const struct lease *l = job->lease;
	struct batch_head head = {.lease = l->is.number,
				  .sequence = l->sequence,
				  .offset = l->offset,
				  .octets = seal_records(job),
				  .records = (uint32_t)job->count,
				  .ordinal = l->records};
	memcpy(head.nonce, l->is.nonce, NONCE_SIZE);
	uint8_t header[BATCH_HEADER_SIZE];
	batch_head_encode(&head, header);
	struct iovec iov[] = {
	    {header, sizeof(header)},
	    {message_record(b, &b->messages[b->next]), head.octets},
	    {(void *)zeros, (size_t)(job->length - BATCH_HEADER_SIZE - head.octets)},
	};
	if (disk_pwritev(l->fd, iov, 3, l->offset) < 0)
		return errno;
	write_entries(job, hash);
	return disk_fdatasync(l->fd) < 0 ? errno : 0;
}

static void commit(struct commit_job *job, struct digest *hash)
{
	uint64_t begun = clock_monotonic_us();
	job->err = write_and_sync(job, hash);
	job->us = clock_monotonic_us() - begun;
}

static void *commit_thread(void *arg)
{
	struct writer *w = arg;
	struct worker *k = &w->committer;
	struct digest hash;
	digest_init(&hash);
	pthread_mutex_lock(&k->mutex);
	for (;;) {
		while (!w->job_given && !k->stop)
			pthread_cond_wait(&k->work, &k->mutex);
		if (!w->job_given)
			break;
		w->job_given = false;
		pthread_mutex_unlock(&k->mutex);
		commit(&w->job, &hash);
		pthread_mutex_lock(&k->mutex);
		w->job_ready = true;
		loop_wake_send(&w->wake);
	}
	pthread_mutex_unlock(&k->mutex);
	digest_free(&hash);
	return NULL;
}

void commit_start(struct writer *w)
{
	w->gathering = &w->batches[0];
	w->committing = &w->batches[1];
	for (int i = 0; i < 2; i++)
		buffer_init(&w->batches[i].octets, WRITER_MEMORY_MAX);
	w->commit_us = UINT64_MAX;
	digest_init(&w->hash);
	worker_start(&w->committer, "commit", commit_thread, w);
}

void commit_stop(struct writer *w)
{
	commit_blocking(w);
	worker_stop(&w->committer);
	commit_finish(w);
	digest_free(&w->hash);
	worker_free(&w->committer);
	for (int i = 0; i < 2; i++) {
		buffer_free(&w->batches[i].octets);
		memory_free(w->batches[i].messages);
		memory_free(w->batches[i].entries);
	}
}

/* The loop's side */

/* How many of the batch's messages fit into room, and how long the write is. */
static size_t batch_fits(const struct batch *b, uint64_t room, uint64_t *length)
{
	uint64_t octets = BATCH_HEADER_SIZE;
	size_t n = 0;
	for (size_t i = b->next; i < b->count; i++, n++) {
		if (batch_align(octets + b->messages[i].length) > room)
			break;
		octets += b->messages[i].length;
	}
	*length = batch_align(octets);
	return n;
}

static uint64_t lease_room(const struct lease *l)
{
	uint64_t size = l->is.size & ~(uint64_t)(BATCH_ALIGN - 1);
	return l->offset < size ? size - l->offset : 0;
}

/* Ends the lease in use as full. The descriptor is closed first, so that the lock is free when the
 * manager hears of it. */
static void seal_lease(struct writer *w)
{
	struct lease was = *w->lease;
	writer_end_lease(w);
	w->hooks.sealed(w->hooks.arg, was.is.number, was.records, was.offset);
	writer_use_spare(w);
}

static void message_gone(struct writer *w, const struct message *m)
{
	w->memory -= m->length;
	if (m->file && !w->lost)
		w->hooks.abandoned(w->hooks.arg, m->file);
}

/* The next message is larger than a whole segment. */
static void refuse_next(struct writer *w)
{
	struct message *m = &w->committing->messages[w->committing->next++];
	writer_answer_later(w, m->done, m->arg, EFBIG);
	message_gone(w, m);
}

/* What is left of the last batch, else what has gathered; false when there is nothing. */
static bool batch_ready(struct writer *w)
{
	struct batch *b = w->committing;
	if (b->next < b->count)
		return true;
	batch_clear(b);
	if (w->gathering->count == 0)
		return false;
	w->committing = w->gathering;
	w->gathering = b;
	return true;
}

static void give_thread(struct writer *w)
{
	pthread_mutex_lock(&w->committer.mutex);
	w->job_given = true;
	pthread_cond_signal(&w->committer.work);
	pthread_mutex_unlock(&w->committer.mutex);
}

/* A thread costs wake-ups, as much as a fast disk's sync. That is worth it where many are under
 * way: while the loop waited for the disk, none of their messages would get complete. And a slow
 * disk would hold up everybody. */
static bool is_for_loop(const struct writer *w, uint64_t length)
{
	return w->lagged == 0 && w->crowd < COMMIT_CROWD * CROWD_UNIT &&
	       w->commit_us <= w->here_us && length <= COMMIT_HERE_MAX;
}

/* Where others are under way, the loop first looks for what has come meanwhile, as long as that
 * brings more: one commit for them all. */
static bool looks_for_more(struct writer *w)
{
	size_t count = w->gathering->count;
	if (w->commit_busy || !w->lease || w->drafts == 0 || w->looks == COMMIT_LOOKS ||
	    w->looked_at == count)
		return false;
	w->looks++;
	w->looked_at = count;
	loop_turn_again();
	return true;
}

static void commit_begin(struct writer *w)
{
	if (w->commit_busy)
		return;
	while (w->lease && batch_ready(w)) {
		uint64_t length;
		size_t n = batch_fits(w->committing, lease_room(w->lease), &length);
		if (n == 0) {
			if (w->lease->offset == 0)
				refuse_next(w);
			else
				seal_lease(w);
			continue;
		}
		w->job = (struct commit_job){.lease = w->lease,
					     .batch = w->committing,
					     .count = n,
					     .length = length,
					     .here = is_for_loop(w, length)};
		w->commit_busy = true;
		w->looks = 0;
		w->looked_at = 0;
		if (!w->job.here)
			give_thread(w);
		return;
	}
}

void commit_turn(void *arg)
{
	if (!looks_for_more(arg))
		commit_begin(arg);
	writer_watch(arg);
}

bool commit_waits(const struct writer *w)
{
	const struct batch *b = w->committing;
	return w->gathering->count > 0 || b->next + (w->commit_busy ? w->job.count : 0) < b->count;
}

static bool job_answered(struct writer *w)
{
	if (!w->commit_busy || w->job.here)
		return false;
	pthread_mutex_lock(&w->committer.mutex);
	bool ready = w->job_ready;
	w->job_ready = false;
	pthread_mutex_unlock(&w->committer.mutex);
	return ready;
}

/* Tells those whose commit it was; on success the 250s leave with this turn. */
static void answer_job(struct writer *w, const struct commit_job *job)
{
	struct batch *b = job->batch;
	for (size_t i = 0; i < job->count; i++) {
		struct message *m = &b->messages[b->next + i];
		w->pending--;
		if (!job->err)
			w->memory -= m->length;
		else
			message_gone(w, m);
		m->done(m->arg, job->err);
	}
}

static void job_failed(struct writer *w, const struct commit_job *job)
{
	struct lease was = *job->lease;
	if (was.given_up) {
		lease_free(job->lease);
	} else {
		writer_end_lease(w);
		w->hooks.failed(w->hooks.arg, was.is.number, was.records, was.offset, job->err);
		writer_use_spare(w);
	}
	answer_job(w, job);
}

static void job_succeeded(struct writer *w, const struct commit_job *job)
{
	struct lease *l = job->lease;
	l->offset += job->length;
	l->sequence++;
	l->records += (uint32_t)job->count;
	answer_job(w, job);
	if (l->given_up) { /* the next manager finds it by its scan */
		lease_free(l);
		return;
	}
	w->hooks.notice(w->hooks.arg, l->is.number, job->batch->entries + job->batch->next,
			job->count);
	if (w->lease == l && lease_room(l) < BATCH_ALIGN)
		seal_lease(w);
}

/* A single bad one counts for a while: the first after a rest, or when the disk begins to lag. One
 * that lags now and then is fast in the mean: it holds all sessions once, and then no more as long
 * as it may do so again. */
static void remember(struct writer *w, const struct commit_job *job)
{
	bool lags = job->us >= COMMIT_LAG_US && job->us > w->here_us;
	uint64_t now = lags || w->lagged ? clock_monotonic_us() : 0;
	if (lags)
		w->lagged = now;
	else if (w->lagged && now - w->lagged >= COMMIT_LAG_REST_US)
		w->lagged = 0;
	w->commit_us = w->commit_us == UINT64_MAX ? job->us : (7 * w->commit_us + job->us) / 8;
	w->crowd = (7 * w->crowd + job->count * CROWD_UNIT) / 8;
}

static void finish(struct writer *w)
{
	struct commit_job job = w->job;
	remember(w, &job);
	if (job.err)
		job_failed(w, &job);
	else
		job_succeeded(w, &job);
	job.batch->next += job.count;
	w->commit_busy = false;
}

void commit_finish(struct writer *w)
{
	if (job_answered(w))
		finish(w);
}

void commit_blocking(void *arg)
{
	struct writer *w = arg;
	if (!w->commit_busy || !w->job.here)
		return;
	commit(&w->job, &w->hash);
	finish(w);
	loop_turn_again(); /* the answers leave with the next turn, and what has gathered is next */
}

static void fail_from(struct writer *w, struct batch *b, size_t first, int err)
{
	for (size_t i = first; i < b->count; i++) {
		const struct message *m = &b->messages[i];
		writer_answer_later(w, m->done, m->arg, err);
		message_gone(w, m);
	}
	b->count = first;
}

void commit_fail_waiting(struct writer *w, int err)
{
	struct batch *b = w->committing;
	fail_from(w, b, b->next + (w->commit_busy ? w->job.count : 0), err);
	fail_from(w, w->gathering, 0, err);
	batch_clear(w->gathering);
}
