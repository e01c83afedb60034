/*
 * mbox_text: whatever a letter holds and wherever it is cut, no line of it begins with "From ", it
 * ends with an empty line, and without the quoting it is what went in. A From line is one line.
 */
#include <stdlib.h>

#include "common/base/buffer.h"
/* a room's files are in no library */
#include "daemons/local/mbox_text.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool collect(void *arg, struct slice octets)
{
	if (octets.len == 0 || !buffer_append(arg, octets))
		abort();
	return true;
}

/* The slow way, line by line. */
static void expect(struct slice in, struct buffer *b)
{
	bool last_newline = false;
	while (in.len > 0) {
		size_t end = slice_find(in, '\n');
		last_newline = end < in.len;
		if (slice_starts(in, SLICE("From ")))
			buffer_byte(b, '>');
		buffer_append(b, slice_sub(in, 0, end + last_newline));
		in = slice_from(in, end + last_newline);
	}
	if (!last_newline)
		buffer_byte(b, '\n');
	buffer_byte(b, '\n');
}

static void check_quote(struct slice in, size_t piece)
{
	struct mbox_quote q = {0};
	struct buffer out, expected;
	buffer_init(&out, 3 * in.len + 16);
	buffer_init(&expected, 3 * in.len + 16);
	expect(in, &expected);
	for (struct slice rest = in; rest.len > 0; rest = slice_from(rest, piece))
		if (!mbox_quote(&q, slice_sub(rest, 0, piece), collect, &out))
			abort();
	if (!mbox_quote_end(&q, collect, &out) ||
	    !slice_equal(buffer_slice(&out), buffer_slice(&expected)))
		abort();
	buffer_free(&out);
	buffer_free(&expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data + 1, size - 1), line;
	char text[MBOX_FROM_SIZE];
	if (size < 1)
		return 0;
	check_quote(in, data[0] + 1U);
	line = mbox_from_line(in, UINT64_C(1795513447000000), 60, text);
	if (!slice_starts(line, SLICE("From ")) || slice_find(line, '\n') != line.len - 1)
		abort();
	return 0;
}
