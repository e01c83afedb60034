/*
 * dovecot: what Dovecot's auth server says, line by line; and what is said to it is one line,
 * whatever the user is called and his password is.
 */
#include "tests/fuzz/must.h"
/* a room's files are in no library */
#include "daemons/accounts/dovecot_text.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(struct slice in)
{
	struct slice line;
	uint32_t id;
	while (in.len > 0) {
		slice_split(in, '\n', &line, &in);
		enum dovecot_word word = dovecot_read(line, &id);
		must(word <= DOVECOT_BROKEN);
		must(id == 0 || word == DOVECOT_OK || word == DOVECOT_REFUSED ||
		     word == DOVECOT_LATER);
	}
}

static void write_one(struct slice in, bool test)
{
	struct dovecot_question q = {
	    .id = 7, .service = "smtp", .client = test ? "" : "192.0.2.1", .test = test};
	struct buffer out;
	buffer_init(&out, DOVECOT_LINE_MAX);
	slice_split(in, '\0', &q.user, &q.password);
	dovecot_write_greeting(&out, 1);
	size_t greeting = out.len;
	if (!dovecot_write_question(&out, &q))
		must(out.len == greeting);
	else
		must(slice_find(slice_from(buffer_slice(&out), greeting), '\n') ==
		     out.len - greeting - 1);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	read_lines(in);
	write_one(in, size & 1);
	return 0;
}
