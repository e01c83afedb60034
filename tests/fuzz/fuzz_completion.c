/*
 * completion: a header block as smtpd looks at it and completes it. What is missing is there
 * afterwards, once; what was for the sender's eyes is not; no line begins with `From `; and
 * completed again it stays as it is.
 */
#include "common/mail/completion.h"
#include "common/mail/content.h"
#include "common/mail/header.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1024 * 1024 };

static void complete(struct slice block, const struct completion *c, struct buffer *out)
{
	struct header_look look;
	header_look(block, &look);
	must(look.message_id_value.len == 0 ||
	     (look.message_id && look.message_id_value.ptr >= block.ptr &&
	      look.message_id_value.ptr + look.message_id_value.len <= block.ptr + block.len));
	must(header_complete(block, &look, c, out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct completion all = {SLICE("Tue, 24 Nov 2026 18:00:00 +0000"),
					      SLICE("<x@mx.example.org>"), SLICE("a@b.example")};
	struct slice header, body;
	struct buffer once, twice;
	struct header_look look;
	bool added = size & 1;
	(void)header_split(slice_make(data, size), &header, &body);
	must(header.len + body.len <= size);
	/* the scan gives whole lines */
	if (header.len > 0 && header.ptr[header.len - 1] != '\n')
		return 0;
	buffer_init(&once, OUT_MAX);
	buffer_init(&twice, OUT_MAX);
	complete(header, added ? &all : NULL, &once);
	header_look(buffer_slice(&once), &look);
	must(!look.from_line);
	if (added)
		must(look.date && look.message_id && look.from && !look.bcc);
	complete(buffer_slice(&once), added ? &all : NULL, &twice);
	must(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
	buffer_free(&once);
	buffer_free(&twice);
	return 0;
}
