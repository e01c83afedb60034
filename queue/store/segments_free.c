/*
 * segments_free: how a segment ends. Sealed, it waits until all its records have ended in synced
 * lines and no job on it is out; then it is free, or its file is removed when it was spoilt.
 */
#include "common/base/memory.h"
#include "queue/store/segments_parts.h"

void pool_retire(struct segments *s, struct pool_file *f)
{
	f->state = POOL_GONE;
	pool_reader_drop(s, f);
	s->retired = memory_resize(s->retired, s->retired_count + 1, sizeof(*s->retired));
	s->retired[s->retired_count++] = f->number;
	unlink_start(s);
}

void segments_seal(struct segments *s, struct segment_entry *e, uint32_t records, uint64_t end,
		   bool retire)
{
	struct pool_file *f = pool_file(s, e->line.segment);
	struct line line = {
	    .kind = LINE_SEALED,
	    .segment = {.segment = e->line.segment,
			.lease = e->line.lease,
			.records = records > e->line.known ? records : e->line.known,
			.end = end,
			.retire = retire}};
	idmap_remove(s->leases, e->line.lease);
	f->writer = 0;
	ledger_write(s->setup.ledger, &line);
	segments_consider(s, line.segment.segment);
}

/* Ended, but not free yet: looked at again at every sync that matters. */
static bool may_be_freed(const struct segments *s, const struct segment_entry *e)
{
	return e && e->line.state == SEGMENT_SEALED && e->live == 0 &&
	       e->line.known == e->line.records && pool_file(s, e->line.segment)->pins == 0;
}

static void free_segment(struct segments *s, struct segment_entry *e)
{
	uint32_t number = e->line.segment;
	struct pool_file *f = pool_file(s, number);
	bool spoilt = e->line.retire;
	struct line line = {.kind = LINE_FREE,
			    .segment = {.segment = number, .lease = e->line.lease}};
	ledger_write(s->setup.ledger, &line);
	f->wanted = false;
	if (spoilt) {
		pool_retire(s, f);
		return;
	}
	f->state = POOL_RAW;
	s->raw_count++;
	pool_reader_drop(s, f);
}

static void ends_synced(void *arg)
{
	struct segments *s = arg;
	uint64_t latest = 0;
	s->candidates = false;
	for (uint32_t i = 1; i < s->file_size; i++) {
		if (!s->files[i] || !s->files[i]->wanted)
			continue;
		struct segment_entry *e = index_segment(s->ix, i);
		if (!may_be_freed(s, e)) {
			s->files[i]->wanted = false;
		} else if (e->ended_at <= ledger_synced(s->setup.ledger)) {
			free_segment(s, e);
		} else if (latest < e->ended_at) {
			latest = e->ended_at;
		}
	}
	if (latest > 0) {
		s->candidates = true;
		ledger_when_synced(s->setup.ledger, &s->free_wait, latest, false, ends_synced, s);
	}
	segments_serve_soon(s);
}

void segments_consider(struct segments *s, uint32_t number)
{
	struct segment_entry *e = index_segment(s->ix, number);
	if (!may_be_freed(s, e) || s->closing)
		return;
	pool_file(s, number)->wanted = true;
	if (s->candidates)
		return;
	s->candidates = true;
	ledger_when_synced(s->setup.ledger, &s->free_wait, e->ended_at, false, ends_synced, s);
}

void segments_pin(struct segments *s, uint32_t segment)
{
	pool_file(s, segment)->pins++;
}

void segments_unpin(struct segments *s, uint32_t segment)
{
	pool_file(s, segment)->pins--;
	segments_consider(s, segment);
}
