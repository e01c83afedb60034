/*
 * Content made fit to be sent: cut anywhere it gives the same, no line is too long, and read back
 * by the receiving side it ends where it should and holds no bare CR or LF.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/smtp/dot.h"
#include "common/smtp/stuff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stuff(struct slice content, size_t cut, struct buffer *out)
{
	struct stuffer s;

	stuffer_init(&s, true);
	if (!stuffer_add(&s, slice_sub(content, 0, cut), out) ||
	    !stuffer_add(&s, slice_from(content, cut), out) || !stuffer_end(&s, out))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice content = slice_make(data, size), rest, run;
	struct buffer whole, cut;
	struct dot_reader d;

	buffer_init(&whole, 4 * size + 100);
	buffer_init(&cut, 4 * size + 100);
	stuff(content, 0, &whole);
	stuff(content, size > 0 ? data[0] % (size + 1) : 0, &cut);
	if (!slice_equal(buffer_slice(&whole), buffer_slice(&cut)))
		__builtin_trap();
	/* one that is too small is full, and no more than full */
	buffer_free(&cut);
	buffer_init(&cut, whole.len > 0 ? data[0] % whole.len : 0);
	struct stuffer s;
	stuffer_init(&s, true);
	if (whole.len > 0 && stuffer_add(&s, content, &cut) && stuffer_end(&s, &cut))
		__builtin_trap();
	dot_reader_init(&d);
	rest = buffer_slice(&whole);
	while (dot_next(&d, &rest, &run))
		;
	if (!dot_ended(&d) || rest.len > 0 || d.flags.bare_lf || d.flags.bare_cr ||
	    d.flags.long_line)
		__builtin_trap();
	buffer_free(&whole);
	buffer_free(&cut);
	return 0;
}
