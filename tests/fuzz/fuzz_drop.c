/*
 * drop: whatever lies in the drop directory, what is read of it is whole addresses and words
 * without blanks or control characters, and reads the same when it is written again.
 */
#include <stdlib.h>

#include "common/mail/drop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
			abort();
}

/* A quoted local part may hold blanks, and what is 8-bit has passed as UTF-8. */
static void check_address(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
			abort();
}

static void check(const struct drop *d)
{
	struct buffer again;
	struct drop back;
	struct slice to;
	uint32_t count = 0;
	buffer_init(&again, DROP_ENVELOPE_MAX);
	check_address(d->sender);
	check_word(d->notify);
	check_word(d->ret);
	check_word(d->envid);
	if (!drop_begin(d, &again))
		abort();
	for (size_t at = 0; drop_next(d, &at, &to); count++) {
		check_address(to);
		if (!drop_add(&again, to))
			abort();
	}
	char front[DROP_FRONT], end[DROP_END];
	uint32_t fields;
	uint64_t content;
	drop_front(buffer_slice(&again), 7, front);
	drop_end(8, end);
	if (!drop_read_front(front, DROP_FRONT + again.len + 7 + DROP_END, &fields, &content) ||
	    fields != again.len || content != 7 || !drop_read_end(end, 8) || drop_read_end(end, 9))
		abort();
	if (count != d->recipient_count || !drop_read(buffer_slice(&again), &back) ||
	    back.recipient_count != count || !slice_equal(back.sender, d->sender))
		abort();
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct drop d;
	struct drop_name n;
	uint32_t fields;
	uint64_t content;
	if (drop_name_read(in, &n)) {
		char text[DROP_NAME_SIZE];
		struct drop_name back;
		drop_name_write(&n, 7, text);
		if (!drop_name_read(slice_str(text), &back) || back.uid != n.uid ||
		    back.made != n.made || back.part != n.part)
			abort();
	}
	if (drop_read(in, &d))
		check(&d);
	if (size < DROP_FRONT)
		return 0;
	if (drop_read_front(in.ptr, size, &fields, &content) &&
	    DROP_FRONT + fields + content + DROP_END != size)
		abort();
	if (size > DROP_FRONT && drop_read(slice_from(in, DROP_FRONT), &d))
		check(&d);
	return 0;
}
