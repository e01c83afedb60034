/* The ledger's lines, frames and headers: any octets are refused or taken without harm, and what is
 * taken is written again as the same line. */
#include <stdlib.h>

#include "common/base/memory.h"
#include "queue/store/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_line(struct index *ix, const struct line *l, struct slice raw)
{
	struct line again;
	char *out = memory_get(line_bound(l));
	struct slice copy = slice_make(out, line_encode(l, out));
	if (!line_decode(&copy, &again) || copy.len != 0 || again.kind != l->kind)
		abort();
	memory_free(out);
	index_apply(ix, l, raw, (struct place){1, 4096}, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_header h;
	struct slice lines, all = slice_make(data, size), rest = all;
	struct line l;
	struct index *ix = index_new(0, NULL);
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
	index_free(&ix);
	return 0;
}
