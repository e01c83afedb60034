/*
 * segments_notice: what writers say, believed only as far as it can be true. A writer may have been
 * taken over: it can spoil what lies in its own lease, and nothing else.
 */
#include <string.h>

#include "common/base/log.h"
#include "queue/store/segments_parts.h"

static bool id_is_writers(const struct segments *s, uint32_t writer, uint64_t id)
{
	const struct lender *l = idmap_get(s->lenders, (uint64_t)writer + 1);
	uint32_t spool = (uint32_t)(ledger_spool_id(s->setup.ledger) % (1 << QUEUE_ID_SPOOL_BITS));
	for (unsigned i = 0; l && i < l->count && i < INCARNATIONS_KEPT; i++)
		if (id >> QUEUE_ID_COUNTER_BITS ==
		    queue_id_make(spool, l->incarnations[i], 0) >> QUEUE_ID_COUNTER_BITS)
			return true;
	return false;
}

/* The ordinal is the next one, and the record lies behind the one before it. */
static bool entry_right(const struct segments *s, uint32_t writer, const struct writer_entry *w,
			uint32_t ordinal, uint64_t least)
{
	const struct large *file = w->file ? idmap_get(s->lent, w->file) : NULL;
	return w->ordinal == ordinal && w->offset >= least && w->offset % 8 == 0 &&
	       w->length % 8 == 0 && w->length > RECORD_HEADER_SIZE &&
	       w->length <= RECORD_LENGTH_MAX && w->length <= s->setup.segment_size &&
	       w->offset <= s->setup.segment_size - w->length && w->recipients > 0 &&
	       w->recipients <= RECIPIENTS_RECEIVED_MAX && id_is_writers(s, writer, w->id) &&
	       !index_get(s->ix, w->id) && (w->parent == 0 || queue_id_possible(w->parent)) &&
	       (!w->file || (file && file->writer == writer));
}

struct line segments_arrival_line(const struct line_segment *seg, const struct writer_entry *w,
				  uint64_t now)
{
	struct line line = {.kind = LINE_STATE};
	line.state = (struct line_state){.id = w->id,
					 .lease = seg->lease,
					 .file = w->file,
					 .segment = seg->segment,
					 .offset = (uint32_t)w->offset,
					 .length = w->length,
					 .ordinal = w->ordinal,
					 .arrived = now,
					 .next = w->held ? 0 : now,
					 .disposition = w->held ? MESSAGE_HELD : MESSAGE_QUEUED,
					 .received = w->recipients,
					 .count = w->recipients};
	memcpy(line.state.digest, w->digest, DIGEST_SIZE);
	return line;
}

void segments_refused(uint64_t id, uint64_t parent)
{
	struct log_line log;
	char text[QUEUE_ID_LEN + 1];
	queue_id_text(parent, text);
	log_start(&log, LOG_LEVEL_INFO, id, "discarded");
	log_pair(&log, "parent", slice_str(text));
	log_pair(&log, "reason", SLICE("a notification that is not awaited, or not any more"));
	log_end(&log);
}

void segments_refuse(struct segments *s, const struct line *state, uint64_t parent)
{
	struct line end = {.kind = LINE_ENDED, .message = {.id = state->state.id}};
	segments_refused(state->state.id, parent);
	ledger_together(s->setup.ledger, TOGETHER_OCTETS);
	ledger_write(s->setup.ledger, state);
	s->refusing = true;
	ledger_write(s->setup.ledger, &end);
	s->refusing = false;
	segments_consider(s, state->state.segment);
}

bool segments_refusing(const struct segments *s)
{
	return s->refusing;
}

static void take_entry(struct segments *s, const struct segment_entry *seg,
		       const struct writer_entry *w, uint64_t now,
		       const struct segments_arrival *calls)
{
	struct line line = segments_arrival_line(&seg->line, w, now);
	if (w->file)
		large_named(s, w->file);
	if (w->parent) {
		ledger_together(s->setup.ledger, TOGETHER_OCTETS);
		if (!calls->welcome || !calls->welcome(calls->arg, w->parent, w->parent_mark)) {
			segments_refuse(s, &line, w->parent);
			return;
		}
	}
	ledger_write(s->setup.ledger, &line);
	struct entry *e = index_get(s->ix, w->id);
	index_load_fresh(s->ix, e, w->digest);
	calls->arrived(calls->arg, e);
}

bool segments_notice(struct segments *s, uint32_t writer, uint64_t lease,
		     const struct writer_entry *entries, size_t count, uint64_t now,
		     const struct segments_arrival *calls)
{
	struct pool_file *f = idmap_get(s->leases, lease);
	struct segment_entry *seg = f ? index_segment(s->ix, f->number) : NULL;
	if (!seg || f->writer != writer || seg->line.lease != lease)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!entry_right(s, writer, &entries[i], seg->line.known, f->seen_end))
			return false;
		f->seen_end = entries[i].offset + entries[i].length;
		take_entry(s, seg, &entries[i], now, calls);
	}
	return true;
}

bool segments_sealed(struct segments *s, uint32_t writer, uint64_t lease, uint32_t records,
		     uint64_t end, bool retire)
{
	struct pool_file *f = idmap_get(s->leases, lease);
	struct segment_entry *seg = f ? index_segment(s->ix, f->number) : NULL;
	if (!seg || f->writer != writer || seg->line.lease != lease || records != seg->line.known ||
	    end > s->setup.segment_size || end < f->seen_end)
		return false;
	segments_seal(s, seg, records, end, retire);
	return true;
}
