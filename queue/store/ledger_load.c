/*
 * ledger_load: STATE lines read again: from the frame under way, from what the kernel has, else by
 * the helper.
 */
#include <errno.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/ledger_parts.h"

struct load {
	struct helper_job job;
	struct ledger *l;
	struct line_read read;
	void (*done)(void *arg, struct entry *e, int err);
	void *arg;
};

void ledger_lost_keep(struct ledger *l)
{
	if (l->pending_len == 0)
		return;
	struct lost_frame *lost = memory_zero(1, sizeof(*lost));
	lost->place = (struct place){ledger_last(l)->header.sequence, l->pending_at};
	lost->len = l->pending_len;
	lost->data = l->pending;
	SLIST_INSERT_HEAD(&l->lost, lost, link);
	l->pending = NULL;
	l->pending_size = l->pending_len = 0;
}

void ledger_lost_free(struct ledger *l)
{
	struct lost_frame *lost;
	while ((lost = SLIST_FIRST(&l->lost))) {
		SLIST_REMOVE_HEAD(&l->lost, link);
		memory_free(lost->data);
		memory_free(lost);
	}
}

/* The line at `place` in a frame that begins at `at`. */
static struct slice line_in(struct place at, struct slice frame, struct place place)
{
	struct line l;
	if (place.file != at.file || place.offset < at.offset + LEDGER_FRAME_SIZE ||
	    place.offset >= at.offset + frame.len)
		return SLICE_EMPTY;
	struct slice whole = slice_from(frame, place.offset - at.offset), rest = whole;
	return line_decode(&rest, &l) ? slice_sub(whole, 0, whole.len - rest.len) : SLICE_EMPTY;
}

struct slice ledger_line_here(struct ledger *l, struct place place)
{
	struct ledger_file *f = ledger_last(l);
	struct slice found = SLICE_EMPTY;
	if (f && l->pending_len > 0)
		found = line_in((struct place){f->header.sequence, l->pending_at},
				slice_make(l->pending, l->pending_len), place);
	const struct lost_frame *lost;
	SLIST_FOREACH (lost, &l->lost, link)
		if (found.len == 0)
			found = line_in(lost->place, slice_make(lost->data, lost->len), place);
	return found;
}

static int read_into(int fd, uint32_t offset, size_t len, bool wait, struct buffer *raw)
{
	size_t have = raw->len, room;
	if (have >= len)
		return 0;
	char *to = buffer_reserve(raw, len - have, &room);
	if (!to || room < len - have) {
		errno = EBADMSG;
		return -1;
	}
	ssize_t n = wait ? disk_pread(fd, to, len - have, offset + have)
			 : disk_pread_now(fd, to, len - have, offset + have);
	if (n < 0)
		return -1;
	buffer_grew(raw, (size_t)n);
	return 0;
}

int ledger_line_read(int fd, uint32_t offset, bool wait, struct buffer *raw)
{
	buffer_reset(raw);
	if (read_into(fd, offset, LINE_READ_FIRST, wait, raw) < 0)
		return -1;
	size_t whole = LEDGER_LINE_HEAD;
	if (raw->len >= LEDGER_LINE_HEAD) {
		whole += ((size_t)get_u32(buffer_slice(raw).ptr + 4) + 7) & ~(size_t)7;
		if (whole > LEDGER_LINE_MAX) {
			errno = EBADMSG;
			return -1;
		}
		if (read_into(fd, offset, whole, wait, raw) < 0)
			return -1;
	}
	if (raw->len < whole) {
		errno = wait ? EBADMSG : EAGAIN;
		return -1;
	}
	buffer_truncate(raw, whole);
	return 0;
}

void ledger_state_damaged(struct ledger *l, struct entry *e)
{
	struct log_line log;
	log_start(&log, LOG_LEVEL_ERROR, e->id, "corrupt");
	log_pair(&log, "reason", SLICE("its line in the ledger can't be read"));
	log_end(&log);
	index_load_fresh(l->ix, e, NULL);
	struct line line = {.kind = LINE_STATE};
	index_describe(l->ix, e, SLICE_EMPTY, &line.state);
	line.state.disposition = MESSAGE_CORRUPT;
	ledger_write(l, &line);
}

static int load_now(struct ledger *l, struct entry *e, struct line_read *read)
{
	struct slice here = ledger_line_here(l, e->place);
	if (here.len > 0)
		return index_load(l->ix, e, here) ? 1 : -1;
	struct ledger_file *f = ledger_file_of(l, e->place.file);
	read->id = e->id;
	read->place = e->place;
	read->fd = f ? f->fd : -1;
	if (!f)
		return -1;
	if (ledger_line_read(f->fd, e->place.offset, false, &read->raw) < 0)
		return errno == EAGAIN ? 0 : -1;
	return index_load(l->ix, e, buffer_slice(&read->raw)) ? 1 : -1;
}

static void load_run(struct helper_job *job)
{
	struct line_read *read = &((struct load *)(void *)job)->read;
	read->err = 0;
	if (ledger_line_read(read->fd, read->place.offset, true, &read->raw) < 0)
		read->err = errno;
}

static void load_end(struct load *load, struct entry *e, int err)
{
	struct ledger *l = load->l;
	if (--l->reading == 0)
		ledger_drop_old(l);
	load->done(load->arg, e, err);
	buffer_free(&load->read.raw);
	memory_free(load);
}

static void load_done(struct helper_job *job)
{
	struct load *load = (struct load *)(void *)job;
	struct ledger *l = load->l;
	struct entry *e = index_get(l->ix, load->read.id);
	if (!e || e->state) {
		load_end(load, e, 0);
		return;
	}
	if (e->place.file != load->read.place.file || e->place.offset != load->read.place.offset) {
		/* Stated again meanwhile, so it was only now in memory. */
		int now = load_now(l, e, &load->read);
		if (now == 0 && helper_submit(l->setup.helper, job))
			return;
		if (now <= 0)
			ledger_state_damaged(l, e);
		load_end(load, e, now > 0 ? 0 : EBADMSG);
		return;
	}
	bool right = !load->read.err && index_load(l->ix, e, buffer_slice(&load->read.raw));
	if (!right)
		ledger_state_damaged(l, e);
	load_end(load, e, right ? 0 : EBADMSG);
}

int ledger_load(struct ledger *l, struct entry *e,
		void (*done)(void *arg, struct entry *e, int err), void *arg)
{
	if (e->state) {
		e->state->resting = false;
		return 1;
	}
	struct load *load = memory_zero(1, sizeof(*load));
	buffer_init(&load->read.raw, LEDGER_LINE_MAX);
	load->job = (struct helper_job){.run = load_run, .done = load_done};
	load->l = l;
	load->done = done;
	load->arg = arg;
	int now = load_now(l, e, &load->read);
	if (now <= 0 && helper_submit(l->setup.helper, &load->job)) {
		l->reading++;
		return 0;
	}
	buffer_free(&load->read.raw);
	memory_free(load);
	if (now <= 0)
		errno = EAGAIN;
	return now > 0 ? 1 : -1;
}
