/*
 * pop3: whatever a client says, a command has what its verb asks for; whatever a message holds and
 * wherever it is cut, it is sent as lines that end in CRLF, none of them a dot alone but the last,
 * and without the doubled dots it has the octets that were counted.
 */
#include <stdlib.h>

#include "common/mailbox/octets.h"
#include "common/pop3/command.h"
#include "common/pop3/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_command(struct slice line)
{
	struct pop3_command c;
	const char *why = NULL;
	if (!pop3_command_parse(line, &c, &why)) {
		if (!why)
			abort();
		return;
	}
	if ((c.verb == POP3_RETR || c.verb == POP3_TOP || c.verb == POP3_DELE) && !c.numbered)
		abort();
	if ((c.verb == POP3_USER || c.verb == POP3_PASS) && c.text.len == 0)
		abort();
	if (c.text.len > 0 &&
	    (c.text.ptr < line.ptr || c.text.ptr + c.text.len > line.ptr + line.len))
		abort();
}

/* What a client counts. */
static uint64_t octets_of(struct slice out)
{
	uint64_t octets = 0;
	while (out.len > 0) {
		size_t lf = slice_find(out, '\n');
		if (lf == out.len || lf == 0 || out.ptr[lf - 1] != '\r')
			abort();
		struct slice line = slice_sub(out, 0, lf + 1);
		out = slice_from(out, lf + 1);
		if (slice_equal(line, SLICE(".\r\n"))) {
			if (out.len > 0)
				abort();
			return octets;
		}
		octets += line.len - (line.ptr[0] == '.');
	}
	abort();
}

static void check_text(struct slice in, size_t piece, uint32_t lines)
{
	struct octets_count count = {0};
	struct pop3_text all, top;
	struct buffer out, head;
	buffer_init(&out, 2 * in.len + POP3_TEXT_EXTRA);
	buffer_init(&head, 2 * in.len + POP3_TEXT_EXTRA);
	pop3_text_init(&all);
	pop3_text_init_top(&top, lines);
	for (struct slice rest = in; rest.len > 0; rest = slice_from(rest, piece))
		if (!pop3_text_add(&all, slice_sub(rest, 0, piece), &out) ||
		    !pop3_text_add(&top, slice_sub(rest, 0, piece), &head))
			abort();
	octets_add(&count, in);
	if (!pop3_text_end(&all, &out) || !pop3_text_end(&top, &head) ||
	    octets_of(buffer_slice(&out)) != octets_end(&count) ||
	    octets_of(buffer_slice(&head)) > count.octets ||
	    !slice_starts(buffer_slice(&out), slice_sub(buffer_slice(&head), 0, head.len - 3)))
		abort();
	buffer_free(&out);
	buffer_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct slice in = slice_make(data + 2, size - 2);
	check_command(in);
	check_text(in, data[0] + 1U, data[1]);
	return 0;
}
