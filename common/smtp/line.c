/*
 * line: the scan for CRLF. A line that is refused is told when its fault is met, not at its end:
 * who ends lines with LF alone gets an answer instead of silence.
 */
#include "common/smtp/line.h"

void line_reader_init(struct line_reader *r, size_t limit)
{
	*r = (struct line_reader){.limit = limit};
}

/* Throws away up to CRLF; how many octets. */
static size_t skip_line(struct line_reader *r, struct slice input)
{
	for (size_t i = 0; i < input.len; i++) {
		bool ends = r->cr && input.ptr[i] == '\n';
		r->cr = input.ptr[i] == '\r';
		if (ends) {
			r->skipping = false;
			return i + 1;
		}
	}
	return input.len;
}

static enum line_result start_skipping(struct line_reader *r, enum line_result result, char last)
{
	r->looked = 0;
	r->skipping = true;
	r->cr = last == '\r';
	return result;
}

enum line_result line_next(struct line_reader *r, struct slice input, struct slice *line,
			   size_t *used)
{
	size_t skipped = 0;

	*line = SLICE_EMPTY;
	*used = 0;
	if (r->skipping) {
		*used = skipped = skip_line(r, input);
		input = slice_from(input, skipped);
	}
	for (size_t i = r->looked; i < input.len; i++) {
		char c = input.ptr[i];
		bool after_cr = i > 0 && input.ptr[i - 1] == '\r';

		*used = skipped + i + 1;
		*line = slice_sub(input, 0, i);
		if (after_cr && c == '\n') {
			r->looked = 0;
			*line = slice_sub(input, 0, i - 1);
			return LINE_COMPLETE;
		}
		if (c == '\n')
			return start_skipping(r, LINE_BARE_LF, c);
		if (after_cr)
			return start_skipping(r, LINE_BARE_CR, c);
		if (i + 1 >= r->limit)
			return start_skipping(r, LINE_TOO_LONG, c);
	}
	r->looked = input.len;
	*used = skipped;
	*line = SLICE_EMPTY;
	return LINE_MORE;
}
