/* The ledger's lines, frames and headers: any octets are refused or taken without harm, and what is
 * taken is written again as the same line. What the lines make of a message is stated in one line
 * that gives the same again. */
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice input;

/* A line's place is its offset in the input. */
static struct slice fetch(void *arg, struct place p)
{
	struct slice rest = slice_from(input, p.offset), at = rest;
	struct line l;
	(void)arg;
	return p.file == 1 && line_decode(&rest, &l) ? slice_sub(at, 0, at.len - rest.len)
						     : SLICE_EMPTY;
}

static void one_line(struct index *ix, const struct line *l, struct slice raw)
{
	struct line again;
	char *out = memory_get(line_bound(l));
	struct slice copy = slice_make(out, line_encode(l, out));
	if (!line_decode(&copy, &again) || copy.len != 0 || again.kind != l->kind)
		abort();
	memory_free(out);
	index_apply(ix, l, raw, (struct place){1, (uint32_t)(raw.ptr - input.ptr)}, 0);
}

static void same_recipients(const struct message_state *a, const struct message_state *b)
{
	if (a->count != b->count || a->received != b->received)
		abort();
	for (uint32_t i = 0; i < a->count; i++) {
		const struct recipient_state *x = &a->recipients[i], *y = &b->recipients[i];
		bool ended = recipient_ended(x->status); /* of many: no text and time is kept */
		if (x->status != y->status || x->attempts != y->attempts ||
		    x->reply.code != y->reply.code || (!ended && x->next != y->next) ||
		    !slice_equal(x->address, y->address) ||
		    !slice_equal(x->original, y->original) ||
		    (!ended && y->reply.text.len > x->reply.text.len))
			abort();
	}
}

/* Stated in a line, and read from that by another index. */
static void state_again(void *arg, struct entry *e)
{
	struct line line = {.kind = LINE_STATE}, again;
	if (!e->state || !index_describe(arg, e, SLICE_EMPTY, &line.state))
		return;
	char *out = memory_get(line_bound(&line));
	struct slice raw = slice_make(out, line_encode(&line, out)), rest = raw;
	if (!line_decode(&rest, &again) || rest.len > 0)
		abort();
	struct entry copy = *e;
	copy.state = NULL;
	copy.mark = crc32c(0, raw.ptr, raw.len);
	if (!index_load(arg, &copy, raw))
		abort();
	same_recipients(e->state, copy.state);
	index_unload(arg, &copy);
	memory_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_header h;
	struct slice lines, all = slice_make(data, size), rest = all;
	struct line l;
	struct index *ix = index_new(0, NULL);
	size_t cursor = 0;
	input = all;
	index_replay(ix, fetch, NULL);
	if (size >= LEDGER_HEADER_SIZE)
		ledger_header_decode((const char *)data, &h);
	memset(&h, 0, sizeof(h));
	ledger_frame_look(&h, 0, all, &lines);
	while (rest.len > 0) {
		struct slice before = rest;
		if (!line_decode(&rest, &l))
			break;
		if (l.kind)
			one_line(ix, &l, slice_sub(before, 0, before.len - rest.len));
	}
	while (index_walk(ix, &cursor, 1000, state_again, ix))
		;
	index_free(&ix);
	return 0;
}
