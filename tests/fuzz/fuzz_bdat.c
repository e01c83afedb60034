/* bdat: the same content in one chunk and in chunks cut by the input, arriving in pieces, gives the
 * same octets and flags; and dot, when it gets the content stuffed, finds the same flags. */
#include <stdlib.h>

#include "common/smtp/bdat.h"
#include "common/smtp/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bdat_reader receive(struct slice text, size_t chunk, size_t step)
{
	struct bdat_reader b = {0};
	size_t at = 0;

	while (at < text.len) {
		struct slice rest = slice_sub(text, at, chunk);
		bdat_chunk(&b, rest.len);
		while (rest.len > 0) {
			struct slice part = slice_sub(rest, 0, step), run;
			char *copy = malloc(part.len);
			struct slice input = slice_make(copy, part.len);
			memcpy(copy, part.ptr, part.len);
			if (!bdat_next(&b, &input, &run) || run.len != part.len || input.len > 0 ||
			    memcmp(run.ptr, text.ptr + at, run.len) != 0)
				abort();
			at += run.len;
			rest = slice_from(rest, run.len);
			free(copy);
		}
		if (b.left != 0)
			abort();
	}
	bdat_finish(&b);
	if (b.octets != text.len)
		abort();
	return b;
}

/* What DATA says of the same content, when it can carry it. */
static void compare_with_dot(struct slice text, const struct bdat_reader *b)
{
	struct buffer wire;
	struct dot_reader d;
	struct slice rest, run;
	bool start = true;

	if (b->flags.no_final_crlf)
		return;
	buffer_init(&wire, 2 * text.len + 16);
	for (size_t i = 0; i < text.len; i++) {
		if (start && text.ptr[i] == '.')
			buffer_byte(&wire, '.');
		buffer_byte(&wire, text.ptr[i]);
		start = i > 0 && text.ptr[i] == '\n' && text.ptr[i - 1] == '\r';
	}
	buffer_append(&wire, SLICE(".\r\n"));
	dot_reader_init(&d);
	rest = buffer_slice(&wire);
	while (dot_next(&d, &rest, &run))
		;
	if (!dot_ended(&d) || rest.len > 0 || d.octets != b->octets ||
	    content_flags_pack(&d.flags) != content_flags_pack(&b->flags))
		abort();
	buffer_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bdat_reader whole, pieces;
	struct bdat_command c;
	struct refusal why;
	struct slice text;

	if (size < 3)
		return 0;
	text = slice_make(data + 2, size - 2);
	whole = receive(text, text.len, text.len);
	pieces = receive(text, (size_t)data[0] + 1, (size_t)data[1] + 1);
	if (content_flags_pack(&whole.flags) != content_flags_pack(&pieces.flags))
		abort();
	compare_with_dot(text, &whole);
	if (!bdat_parse(text, &c, &why) && why.code != 521)
		abort();
	return 0;
}
