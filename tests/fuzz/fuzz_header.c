/* header: the scan says the same in pieces and whole; a walk covers the block; edits round-trip. */
#include <stdlib.h>

#include "common/mail/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void edit(struct slice block)
{
	static const struct slice names[] = {{"Bcc", 3}, {"Return-Path", 11}};
	struct buffer kept, written;
	struct fields l;

	buffer_init(&kept, 4 * HEADER_LIMIT);
	buffer_init(&written, 4 * HEADER_LIMIT);
	fields_init(&l);
	if (header_remove(block, names, 2, &kept) && fields_read(&l, block)) {
		size_t counted = fields_count(&l, names[0]) + fields_count(&l, names[1]);
		size_t removed = fields_remove(&l, names[0]) + fields_remove(&l, names[1]);
		if (counted != removed)
			abort();
		if (removed != header_count(block, names[0]) + header_count(block, names[1]))
			abort();
		if (!fields_write(&l, &written) || buffer_slice(&written).len != l.octets)
			abort();
		/* fields_read ends the last field, header_remove takes it as it is */
		if (!slice_starts(buffer_slice(&written), buffer_slice(&kept)) ||
		    buffer_slice(&written).len > buffer_slice(&kept).len + 2)
			abort();
	}
	fields_free(&l);
	buffer_free(&kept);
	buffer_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_scan whole = {0}, pieces = {0};
	struct slice content, rest;
	struct header_field f;
	size_t step;

	if (size == 0)
		return 0;
	step = (size_t)data[0] % 40 + 1;
	content = slice_make(data + 1, size - 1);
	(void)header_scan_finish(&whole, content);
	for (size_t n = 0; n < content.len; n += step) {
		/* of its own size, so that a look behind its end is seen */
		char *copy = malloc(n + 1);
		memcpy(copy, content.ptr, n);
		(void)header_scan(&pieces, slice_make(copy, n));
		free(copy);
	}
	(void)header_scan_finish(&pieces, content);
	if (whole.end != pieces.end || whole.header != pieces.header || whole.body != pieces.body ||
	    whole.body > content.len || whole.header > whole.body || whole.end == HEADER_MORE)
		abort();
	rest = slice_sub(content, 0, whole.header);
	while (header_next(&rest, &f)) {
		if (f.raw.len == 0 || f.name.len == 0)
			abort();
	}
	if (rest.len > 0)
		abort();
	edit(slice_sub(content, 0, whole.header));
	return 0;
}
