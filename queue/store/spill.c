/*
 * spill: large files. The manager makes them and sends their descriptors on demand; a thread
 * writes them, in the order in which the octets came, starts the write-back as it goes, hashes in
 * passing, and syncs each before its record may join a batch. A file that no message uses is told
 * to the manager after it was closed here.
 */
#include <errno.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/writer_private.h"

/* The thread */

static int write_octets(struct large *f, struct slice octets)
{
	if (f->offset == 0) {
		uint8_t head[LARGE_HEAD_SIZE];
		large_head_encode(f->number, f->nonce, head);
		if (disk_pwrite(f->fd, head, sizeof(head), 0) < 0)
			return errno;
		f->offset = LARGE_HEAD_SIZE;
	}
	if (octets.len == 0)
		return 0;
	twin_add(&f->hash, octets);
	if (disk_pwrite(f->fd, octets.ptr, octets.len, f->offset) < 0)
		return errno;
	f->offset += octets.len;
	return 0;
}

/* Lets the disk begin; a hint, the sync tells of errors. */
static void write_back(struct large *f)
{
	if (f->offset - f->begun < WRITEBACK_LEAST)
		return;
	disk_writeback(f->fd, f->begun, f->offset - f->begun);
	f->begun = f->offset;
}

static void run(struct spill *s)
{
	struct large *f = s->file;
	if (s->kind != SPILL_CLOSE && !f->err)
		f->err = write_octets(f, buffer_slice(&s->octets));
	if (s->kind == SPILL_WRITE && !f->err)
		write_back(f);
	if (s->kind == SPILL_FINISH && !f->err) {
		f->err = disk_fdatasync(f->fd) < 0 ? errno : 0;
		s->length = f->offset;
		twin_end(&f->hash, s->digest);
	}
	if (s->kind != SPILL_WRITE)
		disk_close(f->fd);
	s->err = f->err;
}

static void *spill_thread(void *arg)
{
	struct writer *w = arg;
	struct worker *k = &w->spiller;
	pthread_mutex_lock(&k->mutex);
	for (;;) {
		struct spill *s;
		while (!(s = STAILQ_FIRST(&w->to_spill)) && !k->stop)
			pthread_cond_wait(&k->work, &k->mutex);
		if (!s)
			break;
		STAILQ_REMOVE_HEAD(&w->to_spill, link);
		pthread_mutex_unlock(&k->mutex);
		run(s);
		pthread_mutex_lock(&k->mutex);
		STAILQ_INSERT_TAIL(&w->spilled, s, link);
		loop_wake_send(&w->wake);
	}
	pthread_mutex_unlock(&k->mutex);
	return NULL;
}

void spill_start(struct writer *w)
{
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->large);
	TAILQ_INIT(&w->files_spare);
	STAILQ_INIT(&w->to_spill);
	STAILQ_INIT(&w->spilled);
	worker_start(&w->spiller, "spill", spill_thread, w);
}

void spill_stop(struct writer *w)
{
	worker_stop(&w->spiller);
	spill_finished(w);
	while (w->chunk_count > 0)
		buffer_free(&w->chunks[--w->chunk_count]);
	worker_free(&w->spiller);
}

/* The loop's side. Memory for octets is used again: fresh memory of this size comes from the kernel
 * and goes back to it, and its pages cost more than what is done with them here. */
static void chunk_free(struct writer *w, struct buffer *octets)
{
	if (octets->size < SPILL_CHUNK || w->chunk_count == CHUNKS_SPARE) {
		buffer_free(octets);
		return;
	}
	buffer_reset(octets);
	w->chunks[w->chunk_count++] = *octets;
	buffer_init(octets, octets->limit);
}

/* Takes the octets' memory, which stays counted until they are written. */
static void hand_over(struct writer *w, struct large *f, enum spill_kind kind,
		      struct buffer *octets)
{
	struct spill *s = memory_zero(1, sizeof(*s));
	s->file = f;
	s->kind = kind;
	if (octets) {
		s->octets = *octets;
		buffer_init(octets, s->octets.limit);
		if (kind == SPILL_WRITE && w->chunk_count > 0)
			*octets = w->chunks[--w->chunk_count];
		f->under_way += s->octets.len;
	}
	f->finishing = kind != SPILL_WRITE;
	pthread_mutex_lock(&w->spiller.mutex);
	STAILQ_INSERT_TAIL(&w->to_spill, s, link);
	pthread_cond_signal(&w->spiller.work);
	pthread_mutex_unlock(&w->spiller.mutex);
}

void spill_feed(struct draft *d, bool all)
{
	if (d->file && (d->held.len >= SPILL_CHUNK || (all && d->held.len > 0)))
		hand_over(d->w, d->file, SPILL_WRITE, &d->held);
}

void spill_finish(struct draft *d)
{
	hand_over(d->w, d->file, SPILL_FINISH, &d->held);
}

static void close_file(struct writer *w, struct large *f)
{
	f->draft = NULL;
	f->lost = w->lost;
	if (!f->finishing)
		hand_over(w, f, SPILL_CLOSE, NULL);
}

static void wait_ends(struct draft *d)
{
	if (d->waiting) {
		d->waiting = false;
		d->w->waiting_count--;
		TAILQ_REMOVE(&d->w->waiting, d, link);
	}
}

void spill_abandon(struct draft *d)
{
	struct writer *w = d->w;
	wait_ends(d);
	if (d->in_files) {
		d->in_files = false;
		w->large_count--;
		TAILQ_REMOVE(&w->large, d, large_link);
	}
	if (d->file)
		close_file(w, d->file);
	d->file = NULL;
}

static void assign(struct draft *d, struct large *f)
{
	wait_ends(d);
	d->file = f;
	f->draft = d;
	if (d->committing)
		spill_finish(d);
	else
		spill_feed(d, true);
}

int spill_want(struct draft *d)
{
	struct writer *w = d->w;
	if (w->lost)
		return ECONNRESET;
	struct large *f = TAILQ_FIRST(&w->files_spare);
	if (w->large_count == WRITER_FILES_MAX || (!f && w->full))
		return ENOSPC;
	w->large_count++;
	d->in_files = true;
	TAILQ_INSERT_TAIL(&w->large, d, large_link);
	if (f) {
		w->spare_count--;
		TAILQ_REMOVE(&w->files_spare, f, link);
		assign(d, f);
		return 0;
	}
	d->waiting = true;
	w->waiting_count++;
	TAILQ_INSERT_TAIL(&w->waiting, d, link);
	if (w->waiting_count > w->files_asked) {
		w->files_asked++;
		w->hooks.want_file(w->hooks.arg);
	}
	return 0;
}

void writer_take_file(struct writer *w, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd)
{
	if (w->lost) { /* from a manager that is gone */
		disk_close(fd);
		return;
	}
	loop_timer_stop(&w->patience);
	if (w->files_asked)
		w->files_asked--;
	struct draft *d = TAILQ_FIRST(&w->waiting);
	struct large *f = memory_zero(1, sizeof(*f));
	f->number = number;
	memcpy(f->nonce, nonce, NONCE_SIZE);
	f->fd = fd;
	twin_init(&f->hash);
	if (d) {
		assign(d, f);
	} else if (w->spare_count < FILES_SPARE) {
		w->spare_count++;
		TAILQ_INSERT_TAIL(&w->files_spare, f, link);
	} else {
		close_file(w, f);
	}
}

static void large_gone(struct writer *w, struct large *f, bool unused)
{
	uint64_t number = f->number;
	bool tell = unused && !f->lost && !w->lost;
	twin_free(&f->hash);
	memory_free(f);
	if (tell)
		w->hooks.abandoned(w->hooks.arg, number);
}

/* The file is durable: its record joins the next batch. */
static int join_batch(struct draft *d, const struct spill *s)
{
	const struct large *f = s->file;
	struct stored_file file = {
	    .number = f->number,
	    .length = s->length,
	    .body_offset = LARGE_HEAD_SIZE,
	    .body_length = d->size,
	    .header_offset = LARGE_HEAD_SIZE + d->size,
	    .header_length = d->header_length,
	};
	memcpy(file.nonce, f->nonce, NONCE_SIZE);
	memcpy(file.digest, s->digest, DIGEST_SIZE);
	record_set_file(d->record.data, &file);
	return commit_add_record(d->w, buffer_slice(&d->record), f->number, d->done, d->arg);
}

static void file_finished(struct writer *w, const struct spill *s)
{
	struct draft *d = s->file->draft;
	bool used = false;
	if (d) {
		int err = s->err ? s->err : join_batch(d, s);
		used = err == 0;
		if (err)
			writer_answer_later(w, d->done, d->arg, err);
		draft_destroy(d);
	}
	large_gone(w, s->file, !used);
}

static void finished(struct writer *w, struct spill *s)
{
	struct large *f = s->file;
	f->under_way -= s->octets.len;
	w->memory -= s->octets.len;
	chunk_free(w, &s->octets);
	if (s->kind == SPILL_FINISH)
		file_finished(w, s);
	else if (s->kind == SPILL_CLOSE)
		large_gone(w, f, true);
	else if (f->draft && s->err)
		draft_fail(f->draft, s->err);
	else if (f->draft)
		draft_go_on(f->draft);
}

void spill_finished(struct writer *w)
{
	struct spill_list done = STAILQ_HEAD_INITIALIZER(done);
	pthread_mutex_lock(&w->spiller.mutex);
	STAILQ_CONCAT(&done, &w->spilled);
	pthread_mutex_unlock(&w->spiller.mutex);
	struct spill *s;
	while ((s = STAILQ_FIRST(&done))) {
		STAILQ_REMOVE_HEAD(&done, link);
		finished(w, s);
		memory_free(s);
	}
}

void spill_lost(struct writer *w)
{
	struct large *f;
	struct draft *d;
	w->files_asked = 0;
	while ((f = TAILQ_FIRST(&w->files_spare))) {
		w->spare_count--;
		TAILQ_REMOVE(&w->files_spare, f, link);
		close_file(w, f);
	}
	while ((d = TAILQ_FIRST(&w->large)))
		draft_fail(d, ECONNRESET);
}

void spill_fail_waiting(struct writer *w, int err)
{
	struct draft *d;
	while ((d = TAILQ_FIRST(&w->waiting)))
		draft_fail(d, err);
}
