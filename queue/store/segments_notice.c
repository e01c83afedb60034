/*
 * segments_notice: what writers say, believed only as far as it can be true. A writer may have been
 * taken over: it can spoil what lies in its own lease, and nothing else.
 */
#include <string.h>

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
	       w->length <= RECORD_LENGTH_MAX && w->offset + w->length <= s->setup.segment_size &&
	       w->recipients > 0 && w->recipients <= RECIPIENTS_RECEIVED_MAX &&
	       id_is_writers(s, writer, w->id) && !index_get(s->ix, w->id) &&
	       (!w->file || (file && file->writer == writer));
}

bool segments_notice(struct segments *s, uint32_t writer, uint64_t lease,
		     const struct writer_entry *entries, size_t count, uint64_t now,
		     void (*arrived)(void *arg, struct entry *e), void *arg)
{
	struct pool_file *f = idmap_get(s->leases, lease);
	struct segment_entry *seg = f ? index_segment(s->ix, f->number) : NULL;
	if (!seg || f->writer != writer || seg->line.lease != lease)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!entry_right(s, writer, &entries[i], seg->line.known, f->seen_end))
			return false;
		f->seen_end = entries[i].offset + entries[i].length;
		struct line line = {.kind = LINE_STATE};
		line.state = (struct line_state){.id = entries[i].id,
						 .lease = lease,
						 .file = entries[i].file,
						 .segment = f->number,
						 .offset = (uint32_t)entries[i].offset,
						 .length = entries[i].length,
						 .ordinal = entries[i].ordinal,
						 .arrived = now,
						 .next = now,
						 .received = entries[i].recipients,
						 .count = entries[i].recipients};
		memcpy(line.state.digest, entries[i].digest, DIGEST_SIZE);
		if (entries[i].file)
			large_named(s, entries[i].file);
		ledger_write(s->setup.ledger, &line);
		struct entry *e = index_get(s->ix, entries[i].id);
		index_load_fresh(s->ix, e, entries[i].digest);
		arrived(arg, e);
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
