/* command: a stream of command lines through line, command, path and parameters; the same lines
 * come out in pieces and whole, and the reply to each is one line. */
#include <stdlib.h>

#include "common/mail/received.h"
#include "common/smtp/command.h"
#include "common/smtp/line.h"
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 128 };

static void one_line(const struct buffer *b)
{
	struct slice text = buffer_slice(b);

	for (size_t i = 0; i < text.len; i++) {
		bool end = i + 2 >= text.len;
		if (!end && (text.ptr[i] < 32 || text.ptr[i] > 126))
			abort();
	}
	if (text.len < 6 || text.len > REPLY_LINE_MAX || !slice_ends_fold(text, SLICE("\r\n")))
		abort();
}

static void run_command(struct slice line)
{
	struct refusal why = {250, "2.0.0", "Ok"};
	struct command c;
	struct address a;
	struct slice parameters;
	struct mail_parameters mail;
	struct rcpt_parameters rcpt;
	struct buffer out;

	if (command_parse(line, &c, &why)) {
		if (c.verb == VERB_MAIL &&
		    path_parse_mail(c.argument, ADDRESS_UTF8, &a, &parameters, &why))
			(void)parameters_parse_mail(parameters, &mail, &why);
		else if (c.verb == VERB_RCPT &&
			 path_parse_rcpt(c.argument, ADDRESS_UTF8, &a, &parameters, &why))
			(void)parameters_parse_rcpt(parameters, &rcpt, &why);
	}
	buffer_init(&out, 4096);
	if (!reply_refusal(&out, &why))
		abort();
	one_line(&out);
	buffer_reset(&out);
	if (!reply_write(&out, 550, "5.1.1", "<%.*s>: no", SLICE_FMT(line)))
		abort();
	one_line(&out);
	buffer_reset(&out);
	struct received received = {.helo = line, .name = line, .address = line};
	if (!received_write(&received, &out))
		abort();
	received.tls = SLICE("TLSv1.3");
	received.cipher = line;
	received.cipher_bits = 256;
	buffer_reset(&out);
	if (!received_write(&received, &out))
		abort();
	buffer_free(&out);
}

/* Appends what the reader tells to out: a letter, and the line. */
static void tell(struct slice text, size_t step, struct buffer *out)
{
	struct line_reader r;
	size_t taken = 0, there = 0;

	line_reader_init(&r, LIMIT);
	while (there < text.len) {
		enum line_result result;
		there = there + step < text.len ? there + step : text.len;
		do {
			struct slice line;
			size_t used, len = there - taken;
			char *copy = malloc(len + 1);
			memcpy(copy, text.ptr + taken, len);
			result = line_next(&r, slice_make(copy, len), &line, &used);
			if (used > len || (result == LINE_MORE && len - used >= LIMIT))
				abort();
			taken += used;
			if (result != LINE_MORE &&
			    (!buffer_byte(out, (char)('0' + result)) || !buffer_append(out, line)))
				abort();
			if (result == LINE_COMPLETE && step >= text.len)
				run_command(line);
			free(copy);
		} while (result != LINE_MORE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, pieces;

	if (size < 2)
		return 0;
	buffer_init(&whole, 2 * size + 16);
	buffer_init(&pieces, 2 * size + 16);
	tell(slice_make(data + 1, size - 1), size, &whole);
	tell(slice_make(data + 1, size - 1), (size_t)data[0] % 16 + 1, &pieces);
	if (!slice_equal(buffer_slice(&whole), buffer_slice(&pieces)))
		abort();
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
