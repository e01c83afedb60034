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

/* A header of any numbers, and a frame of any octets behind it: they read back, one octet changed
 * they don't. */
static void frame_and_header(struct slice in)
{
	char head[LEDGER_HEADER_SIZE], *frame;
	struct ledger_header h = {0}, back;
	struct slice lines;
	uint32_t at = in.len > 4 ? get_u32(in.ptr) : 0, len;
	if (in.len < 40)
		return;
	h.snapshot = in.ptr[4] & 1;
	h.spool = get_u64(in.ptr + 5);
	h.sequence = get_u32(in.ptr + 13);
	h.oldest = get_u32(in.ptr + 17);
	h.previous = get_u32(in.ptr + 21);
	h.size = get_u32(in.ptr + 25);
	h.previous_end = get_u32(in.ptr + 29);
	ledger_header_encode(&h, head);
	if (ledger_header_decode(head, &back) &&
	    (memcmp(&back.nonce, &h.nonce, NONCE_SIZE) != 0 || back.spool != h.spool ||
	     back.sequence != h.sequence || back.oldest != h.oldest || back.size != h.size ||
	     back.previous != h.previous || back.previous_end != h.previous_end))
		abort();
	head[at % 56] ^= 1;
	if (ledger_header_decode(head, &back))
		abort();
	in = slice_from(in, 33);
	len = (uint32_t)in.len;
	frame = memory_get(LEDGER_FRAME_SIZE + in.len);
	memcpy(frame + LEDGER_FRAME_SIZE, in.ptr, in.len);
	ledger_frame_seal(&h, at, at / 2, frame, len);
	struct slice whole = slice_make(frame, LEDGER_FRAME_SIZE + in.len);
	if (!ledger_frame_look(&h, at, whole, &lines) || !slice_equal(lines, in) ||
	    ledger_frame_synced(frame) != at / 2)
		abort();
	if (ledger_frame_look(&h, at + 1, whole, &lines) ||
	    ledger_frame_look(&h, at, slice_sub(whole, 0, whole.len - 1), &lines))
		abort();
	frame[at % whole.len] ^= 1;
	if (ledger_frame_look(&h, at, whole, &lines))
		abort();
	memory_free(frame);
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
	frame_and_header(all);
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
