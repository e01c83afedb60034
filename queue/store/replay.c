/*
 * replay: between SNAPSHOT_BEGIN and SNAPSHOT_END lines go to a second index, which takes the place
 * of the first at the END and is dropped when there is none.
 */
#include "queue/store/replay.h"

#include <errno.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/ledger_parts.h"

/* The STATE line of a message that a later line changes. */
static struct slice fetch(void *arg, struct place place)
{
	struct replay *r = arg;
	if (place.file == r->parts[r->current].header.sequence) {
		struct slice all = slice_from(slice_make(r->data, r->len), place.offset);
		struct slice rest = all;
		struct line l;
		return line_decode(&rest, &l) ? slice_sub(all, 0, all.len - rest.len) : SLICE_EMPTY;
	}
	for (size_t i = 0; i < r->part_count; i++)
		if (r->parts[i].header.sequence == place.file &&
		    ledger_line_read(r->parts[i].fd, place.offset, true, &r->line) == 0)
			return buffer_slice(&r->line);
	return SLICE_EMPTY;
}

static struct index *fresh_index(struct replay *r)
{
	struct index *ix = index_new(r->extra, NULL);
	index_replay(ix, fetch, r);
	return ix;
}

void replay_begin(struct replay *r, size_t extra)
{
	memset(r, 0, sizeof(*r));
	r->extra = extra;
	buffer_init(&r->line, LEDGER_LINE_MAX);
	r->base = fresh_index(r);
}

bool replay_open(struct replay *r, size_t part)
{
	const struct ledger_part *p = &r->parts[part];
	r->current = part;
	r->data = memory_resize(r->data, p->end, 1);
	ssize_t n = disk_pread(p->fd, r->data, p->end, 0);
	r->len = n < 0 ? 0 : (size_t)n;
	r->at = LEDGER_HEADER_SIZE;
	r->synced = 0;
	return n >= 0;
}

static void replay_line(struct replay *r, const struct line *l, struct slice raw, uint32_t at)
{
	struct place place = {r->parts[r->current].header.sequence, at};
	if (l->kind == LINE_SNAPSHOT_BEGIN) {
		index_free(&r->snapshot);
		r->snapshot = fresh_index(r);
	} else if (l->kind == LINE_SNAPSHOT_END && r->snapshot) {
		index_free(&r->base);
		r->base = r->snapshot;
		r->snapshot = NULL;
	} else if (!index_apply(r->snapshot ? r->snapshot : r->base, l, raw, place, 0)) {
		r->contradictions++;
		log_error("ledger: a line of kind %u at octet %u of file %u contradicts the others",
			  (unsigned)l->kind, at, place.file);
	}
}

bool replay_some(struct replay *r, uint32_t octets)
{
	const struct ledger_header *h = &r->parts[r->current].header;
	struct slice lines, all = slice_make(r->data, r->len);
	uint32_t begin = r->at;
	while (r->at - begin < octets) {
		if (!ledger_frame_look(h, r->at, slice_from(all, r->at), &lines))
			return false;
		uint32_t at = r->at + LEDGER_FRAME_SIZE;
		if (ledger_frame_synced(all.ptr + r->at) > r->synced)
			r->synced = ledger_frame_synced(all.ptr + r->at);
		r->at = at + (uint32_t)lines.len;
		while (lines.len > 0) {
			struct slice before = lines;
			struct line l;
			if (!line_decode(&lines, &l)) {
				r->contradictions++;
				log_error("ledger: the line at octet %u of file %u can't be read",
					  at, h->sequence);
				break;
			}
			uint32_t len = (uint32_t)(before.len - lines.len);
			replay_line(r, &l, slice_sub(before, 0, len), at);
			at += len;
		}
	}
	return true;
}

bool replay_is_damaged(const struct replay *r)
{
	const struct ledger_header *h = &r->parts[r->current].header;
	struct slice lines, all = slice_make(r->data, r->len);
	if (r->len < h->size) /* all of it was allocated before it was used */
		return true;
	for (uint32_t at = r->at + LEDGER_ALIGN; at < r->len; at += LEDGER_ALIGN)
		if (ledger_frame_look(h, at, slice_from(all, at), &lines) &&
		    ledger_frame_synced(all.ptr + at) > r->at)
			return true;
	return false;
}

struct index *replay_take(struct replay *r)
{
	struct index *ix = r->base;
	r->base = NULL;
	index_replay(ix, NULL, NULL);
	return ix;
}

void replay_end(struct replay *r)
{
	memory_free(r->parts);
	memory_free(r->data);
	buffer_free(&r->line);
	index_free(&r->base);
	index_free(&r->snapshot);
	memset(r, 0, sizeof(*r));
}
