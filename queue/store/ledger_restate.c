/*
 * ledger_restate: states messages again at the head of the chain, a bounded number a turn: those of
 * the oldest file, so that it can leave the chain, or all of them, after a failure. Active messages
 * are stated from memory, those at rest from their present STATE line, which the helper reads.
 */
#include <errno.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "queue/store/ledger_parts.h"

static bool wants(const struct restate *r, const struct entry *e)
{
	return r->snapshot ? e->place.file < r->file : e->place.file == r->file;
}

static void state_again(struct ledger *l, struct entry *e, struct slice old)
{
	struct line line = {.kind = LINE_STATE};
	if (index_describe(l->ix, e, old, &line.state)) {
		ledger_write(l, &line);
	} else {
		ledger_state_damaged(l, e);
		e->state->resting = true;
	}
	if (e->state && e->state->resting && e->place.file != 0)
		index_unload(l->ix, e);
}

static void visit(void *arg, struct entry *e)
{
	struct ledger *l = arg;
	struct restate *r = &l->restate;
	if (!r->active || !wants(r, e))
		return;
	struct slice here = ledger_line_here(l, e->place);
	if (e->state || here.len > 0) {
		state_again(l, e, here);
		return;
	}
	struct ledger_file *f = ledger_file_of(l, e->place.file);
	struct line_read *read = &r->reads[r->count++];
	read->id = e->id;
	read->place = e->place;
	read->fd = f ? f->fd : -1;
}

/* As far as their octets may lie in memory together. */
static void read_run(struct helper_job *job)
{
	struct restate *r = (struct restate *)(void *)job;
	for (size_t octets = 0; r->have < r->count && octets < LEDGER_READ_MOST; r->have++) {
		struct line_read *read = &r->reads[r->have];
		read->err = 0;
		if (ledger_line_read(read->fd, read->place.offset, true, &read->raw) < 0)
			read->err = errno;
		octets += read->raw.len;
	}
}

static void read_done(struct helper_job *job)
{
	struct restate *r = (struct restate *)(void *)job;
	r->out = false; /* what was read is taken at the turn's end */
	if (r->l->mode == LEDGER_WAITING)
		ledger_snapshot_try(r->l);
}

/* Any message may fill a file, and to be without one in the midst of it is a failure. */
static bool may_state(const struct ledger *l)
{
	return l->restate.active && l->spare_count > 0;
}

static void take_reads(struct ledger *l)
{
	struct restate *r = &l->restate;
	for (; r->taken < r->have && may_state(l); r->taken++) {
		struct line_read *read = &r->reads[r->taken];
		struct entry *e = index_get(l->ix, read->id);
		if (e && e->place.file == read->place.file && e->place.offset == read->place.offset)
			state_again(l, e, read->err ? SLICE_EMPTY : buffer_slice(&read->raw));
		if (read->raw.size > LEDGER_LINE_KEEP)
			buffer_free(&read->raw);
	}
}

static void begin(struct ledger *l, uint32_t file, bool snapshot)
{
	struct restate *r = &l->restate;
	if (!r->reads) {
		r->reads = memory_zero(LEDGER_BATCH, sizeof(*r->reads));
		for (size_t i = 0; i < LEDGER_BATCH; i++)
			buffer_init(&r->reads[i].raw, LEDGER_LINE_MAX);
	}
	r->job = (struct helper_job){.run = read_run, .done = read_done};
	r->l = l;
	r->active = true;
	r->file = file;
	r->snapshot = snapshot;
	r->cursor = 0;
	r->count = r->have = r->taken = 0;
}

/* From this file on the chain is needed, as soon as all that is written now is synced. */
static void needed_from(struct ledger *l, const struct ledger_file *f)
{
	l->oldest_next = f->header.sequence;
	l->oldest_at = l->position;
}

/* When the chain is long: files at its beginning in which no message has its newest line are not
 * needed any more; the oldest that is leaves the chain too when most of the whole is dead. */
static void consider(struct ledger *l)
{
	struct ledger_file *f, *oldest = NULL, *needed = NULL;
	uint64_t live = 0, octets;
	size_t count = 0;
	l->look = false;
	TAILQ_FOREACH (f, &l->chain, link) {
		if (f->header.sequence < l->oldest)
			continue;
		if (!oldest)
			oldest = f;
		count++;
		if (index_stated(l->ix, f->header.sequence, &octets) > 0 && !needed)
			needed = f;
		live += octets;
	}
	if (count <= LEDGER_CHAIN_LONG)
		return;
	if (!needed)
		needed = ledger_last(l);
	if (needed != oldest)
		needed_from(l, needed);
	else if (live < (uint64_t)count * l->file_size / 2)
		begin(l, oldest->header.sequence, false);
}

/* A message of the file ends or is stated elsewhere meanwhile, too. */
static bool is_emptied(const struct ledger *l)
{
	uint64_t octets;
	return !l->restate.snapshot && index_stated(l->ix, l->restate.file, &octets) == 0;
}

static void finish(struct ledger *l)
{
	struct restate *r = &l->restate;
	r->active = false;
	if (r->snapshot) {
		struct line end = {.kind = LINE_SNAPSHOT_END};
		ledger_write(l, &end);
		if (l->mode == LEDGER_WAITING)
			return;
		l->snapshot_end = l->position;
		l->soon = true;
		return;
	}
	struct ledger_file *f = ledger_file_of(l, r->file);
	f = f ? TAILQ_NEXT(f, link) : NULL;
	if (f && is_emptied(l))
		needed_from(l, f);
}

/* As far as a turn may; false: that was all. */
static bool walk_on(struct ledger *l)
{
	struct restate *r = &l->restate;
	bool more = !is_emptied(l); /* else the rest of the index has none of it */
	r->count = r->have = r->taken = 0;
	for (size_t n = 0; n < LEDGER_STEP && more && may_state(l) && r->count < LEDGER_BATCH; n++)
		more = index_walk(l->ix, &r->cursor, 1, visit, l);
	return more;
}

void ledger_restate_step(struct ledger *l)
{
	struct restate *r = &l->restate;
	bool more = true;
	if (l->mode == LEDGER_WAITING || r->out)
		return;
	if (!r->active && l->mode == LEDGER_NORMAL && l->look && !l->oldest_next)
		consider(l);
	take_reads(l);
	if (r->active && r->taken == r->count)
		more = walk_on(l);
	if (!may_state(l))
		return; /* it has failed, or goes on when a file is ready */
	if (r->taken == r->have && r->have < r->count)
		r->out = helper_submit(l->setup.helper, &r->job);
	else if (!more)
		finish(l);
	if (!r->out)
		loop_turn_again();
}

void ledger_restate_stop(struct ledger *l)
{
	l->restate.active = false;
}

void ledger_snapshot_try(struct ledger *l)
{
	if (l->mode != LEDGER_WAITING || l->restate.out || l->sync.out || l->closing ||
	    loop_timer_active(&l->retry_timer))
		return;
	l->mode = LEDGER_SNAPSHOT;
	l->snapshot_end = 0;
	if (ledger_rotate(l, true) && l->mode == LEDGER_SNAPSHOT) {
		begin(l, ledger_last(l)->header.sequence, true);
		loop_turn_again();
	} else {
		ledger_fail(l, "no new file", EIO);
	}
}

void ledger_restate_free(struct ledger *l)
{
	if (!l->restate.reads)
		return;
	for (size_t i = 0; i < LEDGER_BATCH; i++)
		buffer_free(&l->restate.reads[i].raw);
	memory_free(l->restate.reads);
}
