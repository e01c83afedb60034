/*
 * ledger: gathers lines into frames, writes a frame a turn, has the helper sync. After any failure
 * to write or sync nothing more is written to that file: ledger_fail() turns to waiting, and
 * ledger_restate.c states everything in new files.
 */
#include "queue/store/ledger.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/ledger_parts.h"

struct ledger_file *ledger_last(struct ledger *l)
{
	return TAILQ_LAST(&l->chain, ledger_files);
}

struct ledger_file *ledger_file_of(struct ledger *l, uint32_t sequence)
{
	struct ledger_file *f;
	TAILQ_FOREACH_REVERSE(f, &l->chain, ledger_files, link)
	if (f->header.sequence == sequence)
		return f;
	return NULL;
}

void ledger_slot_add(struct ledger *l, uint32_t slot)
{
	if (l->free_count == l->free_size) {
		l->free_size = l->free_size ? l->free_size * 2 : 16;
		l->free_slots = memory_resize(l->free_slots, l->free_size, sizeof(*l->free_slots));
	}
	l->free_slots[l->free_count++] = slot;
}

static void turn_end(void *arg)
{
	struct ledger *l = arg;
	ledger_restate_step(l);
	ledger_flush(l);
	if (l->soon)
		ledger_sync_start(l);
}

static void retry(void *arg)
{
	ledger_spares_fill(arg);
}

static struct ledger *ledger_new(const struct ledger_setup *setup)
{
	struct ledger *l = memory_zero(1, sizeof(*l));
	l->setup = *setup;
	l->file_size = setup->file_size ? setup->file_size : LEDGER_FILE_SIZE;
	l->mode = LEDGER_WAITING;
	TAILQ_INIT(&l->chain);
	TAILQ_INIT(&l->spares);
	TAILQ_INIT(&l->waits);
	return l;
}

static void free_files(struct ledger_files *files)
{
	struct ledger_file *f;
	while ((f = TAILQ_FIRST(files))) {
		TAILQ_REMOVE(files, f, link);
		disk_close(f->fd);
		memory_free(f);
	}
}

static void ledger_release(struct ledger *l)
{
	loop_timer_stop(&l->sync_timer);
	loop_timer_stop(&l->retry_timer);
	loop_timer_stop(&l->wait_timer);
	loop_turn_remove(&l->turn);
	free_files(&l->chain);
	free_files(&l->spares);
	ledger_restate_free(l);
	index_free(&l->ix);
	memory_free(l->free_slots);
	memory_free(l->pending);
	ledger_lost_free(l);
	memory_free(l->scratch);
	memory_free(l);
}

/* Blocks: two spares, and the first file when there is none. */
static bool first_files(struct ledger *l, struct error *error)
{
	if (!ledger_last(l) && !ledger_rotate(l, false))
		return error_set(error, EIO, "the ledger can't be written");
	ledger_spares_fill(l);
	helper_drain(l->setup.helper);
	return true;
}

struct ledger *ledger_open(const struct ledger_setup *setup, bool may_create, struct error *error)
{
	struct ledger *l = ledger_new(setup);
	if (!ledger_read(l, may_create, error)) {
		ledger_release(l);
		return NULL;
	}
	index_set_calls(l->ix, &setup->calls);
	if (!first_files(l, error)) {
		ledger_release(l);
		return NULL;
	}
	loop_turn_add_last(&l->turn, turn_end, l);
	return l;
}

void ledger_close(struct ledger **lp)
{
	struct ledger *l = *lp;
	if (!l)
		return;
	l->closing = true;
	ledger_restate_stop(l);
	helper_drain(l->setup.helper);
	ledger_sync_wait(l);
	ledger_release(l);
	*lp = NULL;
}

struct index *ledger_index(struct ledger *l)
{
	return l->ix;
}

uint64_t ledger_spool_id(const struct ledger *l)
{
	return l->spool;
}

uint64_t ledger_position(const struct ledger *l)
{
	return l->position;
}

uint64_t ledger_synced(const struct ledger *l)
{
	return l->synced;
}

bool ledger_safe(const struct ledger *l)
{
	return l->mode == LEDGER_NORMAL;
}

void ledger_fail(struct ledger *l, const char *what, int err)
{
	log_error("ledger: %s: %s; no delivery begins until all is stated in a new file", what,
		  strerror(err));
	bool was_safe = ledger_safe(l);
	ledger_lost_keep(l);
	l->pending_len = 0;
	/* A sync that has failed is never tried again on the same file. */
	struct ledger_file *f;
	TAILQ_FOREACH (f, &l->chain, link) {
		f->dirty = false;
		f->syncing = f->synced_end;
	}
	l->mode = LEDGER_WAITING;
	l->snapshot_end = 0;
	l->oldest_next = 0;
	ledger_restate_stop(l);
	loop_timer_stop(&l->sync_timer);
	if (!l->closing)
		loop_timer_start(&l->retry_timer, was_safe ? 0 : LEDGER_RETRY_US, retry, l);
	if (was_safe && l->setup.changed)
		l->setup.changed(l->setup.calls.arg, false);
}

/* Ends the frame when `len` octets more do not fit; returns where in the frame they begin. */
static size_t frame_with_room(struct ledger *l, size_t len)
{
	size_t frame = l->pending_len ? l->pending_len : LEDGER_FRAME_SIZE;
	if (frame + len <= LEDGER_FRAME_MAX)
		return frame;
	ledger_flush(l);
	return LEDGER_FRAME_SIZE;
}

/* The same, and ends the file when they do not fit there. 0: the ledger waits. */
static size_t file_with_room(struct ledger *l, size_t len)
{
	if (l->mode == LEDGER_WAITING)
		return 0;
	size_t frame = frame_with_room(l, len);
	if (l->mode != LEDGER_WAITING &&
	    l->pending_at + frame + len > ledger_last(l)->header.size) {
		ledger_flush(l);
		if (l->mode != LEDGER_WAITING && !ledger_rotate(l, false))
			ledger_fail(l, "no file is ready", ENOSPC);
		/* The head of the new file is in the frame already. */
		frame = frame_with_room(l, len);
		if (l->mode != LEDGER_WAITING && l->pending_at + frame + len > l->file_size)
			panic("ledger: files of %u octets are too small", l->file_size);
	}
	return l->mode == LEDGER_WAITING ? 0 : frame;
}

/* Room for a line of `len` octets in the frame under way. NULL: the ledger waits. */
static char *room_for(struct ledger *l, size_t len)
{
	size_t frame = file_with_room(l, len);
	if (frame == 0)
		return NULL;
	if (l->pending_size < frame + len) {
		l->pending_size = (frame + len) * 2 < 65536 ? 65536 : (frame + len) * 2;
		l->pending = memory_resize(l->pending, l->pending_size, 1);
	}
	l->pending_len = frame + len;
	return l->pending + frame;
}

void ledger_write(struct ledger *l, const struct line *line)
{
	size_t len = line_bound(line);
	if (len > LEDGER_LINE_MAX)
		panic("ledger: a line of %zu octets", len);
	char *to = room_for(l, len);
	struct place place = {0, 0};
	if (to) {
		place.file = ledger_last(l)->header.sequence;
		place.offset = l->pending_at + (uint32_t)(to - l->pending);
	} else {
		l->scratch = memory_resize(l->scratch, len, 1);
		to = l->scratch;
	}
	line_encode(line, to);
	l->position += len;
	if (!index_apply(l->ix, line, slice_make(to, len), place, l->position))
		panic("ledger: a line of kind %u contradicts the index", (unsigned)line->kind);
}

void ledger_together(struct ledger *l, size_t octets)
{
	file_with_room(l, octets);
}

static void sync_due(void *arg)
{
	ledger_flush(arg);
	ledger_sync_start(arg);
}

bool ledger_flush(struct ledger *l)
{
	if (l->mode == LEDGER_WAITING)
		return false;
	if (l->pending_len == 0)
		return ledger_safe(l);
	struct ledger_file *f = ledger_last(l);
	ledger_frame_seal(&f->header, l->pending_at, f->synced_end, l->pending,
			  (uint32_t)(l->pending_len - LEDGER_FRAME_SIZE));
	if (disk_pwrite(f->fd, l->pending, l->pending_len, l->pending_at) < 0) {
		ledger_fail(l, "write", errno);
		return false;
	}
	l->pending_at += (uint32_t)l->pending_len;
	f->end = l->pending_at;
	l->pending_len = 0;
	if (l->pending_size > LEDGER_PENDING_KEEP) {
		memory_free(l->pending);
		l->pending = NULL;
		l->pending_size = 0;
	}
	f->dirty = true;
	l->written = l->position;
	if (!l->sync.out && !loop_timer_active(&l->sync_timer))
		loop_timer_start(&l->sync_timer, LEDGER_SYNC_DELAY_US, sync_due, l);
	return ledger_safe(l);
}

static void call_waits(struct ledger *l)
{
	struct ledger_wait *w;
	l->soon = false;
	while ((w = TAILQ_FIRST(&l->waits)) && w->position <= l->synced) {
		TAILQ_REMOVE(&l->waits, w, link);
		w->waiting = false;
		w->done(w->arg);
	}
	TAILQ_FOREACH (w, &l->waits, link)
		l->soon = l->soon || w->soon;
}

static void waits_due(void *arg)
{
	call_waits(arg);
}

/* A snapshot counts when its end is durable; from then on the files before it are not needed. */
static void snapshot_synced(struct ledger *l)
{
	l->mode = LEDGER_NORMAL;
	l->oldest = l->restate.file;
	l->snapshot_end = 0;
	ledger_lost_free(l);
	log_info("ledger: all is stated anew, deliveries go on");
}

static void synced_to(struct ledger *l, uint64_t target)
{
	bool was_safe = ledger_safe(l);
	if (l->mode == LEDGER_SNAPSHOT && l->snapshot_end && target >= l->snapshot_end)
		snapshot_synced(l);
	if (l->mode != LEDGER_NORMAL)
		return;
	l->synced = target;
	if (l->oldest_next && l->synced >= l->oldest_at) {
		l->oldest = l->oldest_next;
		l->oldest_next = 0;
		l->look = true;
	}
	ledger_drop_old(l);
	call_waits(l);
	if (!was_safe && l->setup.changed)
		l->setup.changed(l->setup.calls.arg, true);
}

static void sync_run(struct helper_job *job)
{
	struct sync_job *s = (struct sync_job *)(void *)job;
	s->err = 0;
	for (size_t i = 0; i < s->count && !s->err; i++)
		if (disk_fdatasync(s->fds[i]) < 0)
			s->err = errno;
}

static void sync_done(struct helper_job *job)
{
	struct sync_job *s = (struct sync_job *)(void *)job;
	struct ledger *l = s->l;
	s->out = false;
	if (s->err && l->mode != LEDGER_WAITING)
		ledger_fail(l, "sync", s->err);
	if (l->mode == LEDGER_WAITING) {
		ledger_spares_fill(l); /* the snapshot waited for this job */
		return;
	}
	struct ledger_file *f;
	TAILQ_FOREACH (f, &l->chain, link)
		if (f->syncing > f->synced_end)
			f->synced_end = f->syncing;
	if (s->all)
		synced_to(l, s->target);
	bool more = l->written > s->target || !s->all;
	if (l->soon || !s->all)
		ledger_sync_start(l);
	else if (more && l->mode != LEDGER_WAITING && !loop_timer_active(&l->sync_timer))
		loop_timer_start(&l->sync_timer, LEDGER_SYNC_DELAY_US, sync_due, l);
}

/* Older files first: what survives is a prefix. */
static void sync_prepare(struct ledger *l)
{
	struct sync_job *s = &l->sync;
	struct ledger_file *f;
	*s = (struct sync_job){
	    .job = {.run = sync_run, .done = sync_done}, .l = l, .target = l->written, .all = true};
	TAILQ_FOREACH (f, &l->chain, link) {
		if (!f->dirty)
			continue;
		if (s->count == LEDGER_SYNC_FILES) {
			s->all = false;
			break;
		}
		s->fds[s->count++] = f->fd;
		f->dirty = false;
		f->syncing = f->end;
	}
}

void ledger_sync_start(struct ledger *l)
{
	if (l->sync.out || l->mode == LEDGER_WAITING)
		return;
	loop_timer_stop(&l->sync_timer);
	sync_prepare(l);
	if (l->sync.count == 0)
		return;
	l->sync.out = true;
	helper_submit_urgent(l->setup.helper, &l->sync.job);
}

void ledger_sync_wait(struct ledger *l)
{
	ledger_flush(l);
	helper_drain(l->setup.helper);
	ledger_sync_start(l);
	helper_drain(l->setup.helper);
}

void ledger_when_synced(struct ledger *l, struct ledger_wait *w, uint64_t position, bool soon,
			void (*done)(void *arg), void *arg)
{
	if (w->waiting)
		ledger_wait_cancel(l, w);
	*w = (struct ledger_wait){
	    .position = position, .soon = soon, .done = done, .arg = arg, .waiting = true};
	struct ledger_wait *before = TAILQ_LAST(&l->waits, ledger_waits);
	while (before && before->position > position)
		before = TAILQ_PREV(before, ledger_waits, link);
	if (before)
		TAILQ_INSERT_AFTER(&l->waits, before, w, link);
	else
		TAILQ_INSERT_HEAD(&l->waits, w, link);
	l->soon = l->soon || soon;
	if (position <= l->synced) /* not from inside this call */
		loop_timer_start(&l->wait_timer, 0, waits_due, l);
}

void ledger_wait_cancel(struct ledger *l, struct ledger_wait *w)
{
	if (!w->waiting)
		return;
	TAILQ_REMOVE(&l->waits, w, link);
	w->waiting = false;
}

void ledger_hold(struct ledger *l)
{
	l->held++;
}

void ledger_unhold(struct ledger *l)
{
	l->held--;
}

size_t ledger_parts(struct ledger *l, struct ledger_part **parts)
{
	struct ledger_file *f;
	size_t count = 0;
	*parts = memory_zero(l->chain_count + 1, sizeof(**parts));
	TAILQ_FOREACH (f, &l->chain, link)
		if (f->header.sequence >= l->oldest)
			(*parts)[count++] = (struct ledger_part){f->fd, f->header, f->end};
	return count;
}

uint64_t ledger_octets(const struct ledger *l)
{
	return (uint64_t)(l->chain_count + l->spare_count + l->free_count) * l->file_size;
}

size_t ledger_chain(const struct ledger *l)
{
	return l->chain_count;
}
