/* dot: whole, octet by octet and in other pieces give one content, one end and the same flags, and
 * the end is the first CRLF.CRLF. */
#include <stdlib.h>

#include "common/smtp/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	struct dot_reader d;
	size_t len, consumed;
	char *content;
};

static struct outcome receive(struct slice text, size_t step)
{
	struct outcome o = {.content = malloc(text.len + 1)};

	dot_reader_init(&o.d);
	while (o.consumed < text.len && !dot_ended(&o.d)) {
		struct slice part = slice_sub(text, o.consumed, step), run;
		char *copy = malloc(part.len);
		struct slice input = slice_make(copy, part.len);
		memcpy(copy, part.ptr, part.len);
		while (dot_next(&o.d, &input, &run)) {
			if (run.len == 0 || o.len + run.len > text.len)
				abort();
			memcpy(o.content + o.len, run.ptr, run.len);
			o.len += run.len;
		}
		o.consumed += part.len - input.len;
		free(copy);
	}
	if (o.d.octets != o.len)
		abort();
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome o[3];
	struct slice text;
	const char *end;
	char *wire;

	if (size < 2)
		return 0;
	text = slice_make(data + 1, size - 1);
	o[0] = receive(text, size);
	o[1] = receive(text, 1);
	o[2] = receive(text, (size_t)data[0] + 2);
	for (int i = 1; i < 3; i++) {
		if (o[i].len != o[0].len || o[i].consumed != o[0].consumed ||
		    o[i].d.state != o[0].d.state ||
		    memcmp(o[i].content, o[0].content, o[0].len) != 0 ||
		    content_flags_pack(&o[i].d.flags) != content_flags_pack(&o[0].d.flags))
			abort();
	}
	wire = malloc(text.len + 2);
	memcpy(wire, "\r\n", 2);
	memcpy(wire + 2, text.ptr, text.len);
	end = memmem(wire, text.len + 2, "\r\n.\r\n", 5);
	if (dot_ended(&o[0].d) != (end != NULL) ||
	    (end != NULL && o[0].consumed != (size_t)(end + 3 - wire)))
		abort();
	free(wire);
	for (int i = 0; i < 3; i++)
		free(o[i].content);
	return 0;
}
