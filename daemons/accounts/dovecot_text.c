/*
 * Of what the server says only what matters here is read; it may say more with each version.
 */
#include "daemons/accounts/dovecot_text.h"

#include "common/base/encode.h"

enum { PLAIN_MESSAGE_MAX = 2048 };

static struct slice next_field(struct slice *rest)
{
	struct slice field;

	slice_split(*rest, '\t', &field, rest);
	return field;
}

/* FAIL ID user=... temp: an error of its own; later versions say code=temp_fail. */
static enum dovecot_word read_fail(struct slice rest)
{
	while (rest.len > 0) {
		struct slice field = next_field(&rest);

		if (slice_equal(field, SLICE("temp")) ||
		    slice_equal(field, SLICE("code=temp_fail")))
			return DOVECOT_LATER;
	}
	return DOVECOT_REFUSED;
}

enum dovecot_word dovecot_read(struct slice line, uint32_t *id)
{
	struct slice word = next_field(&line), field = next_field(&line);
	uint64_t number;

	*id = 0;
	if (slice_equal(word, SLICE("VERSION")))
		return slice_equal(field, SLICE("1")) ? DOVECOT_VERSION : DOVECOT_BROKEN;
	if (slice_equal(word, SLICE("MECH")))
		return slice_equal_fold(field, SLICE("PLAIN")) ? DOVECOT_PLAIN : DOVECOT_OTHER;
	if (slice_equal(word, SLICE("DONE")))
		return DOVECOT_DONE;
	if (!slice_equal(word, SLICE("OK")) && !slice_equal(word, SLICE("FAIL")) &&
	    !slice_equal(word, SLICE("CONT")))
		return DOVECOT_OTHER;
	if (!slice_number(field, UINT32_MAX, &number))
		return DOVECOT_BROKEN;
	*id = (uint32_t)number;
	if (slice_equal(word, SLICE("OK")))
		return DOVECOT_OK;
	/* all of PLAIN was said, so to go on is none of its answers */
	return slice_equal(word, SLICE("CONT")) ? DOVECOT_LATER : read_fail(line);
}

void dovecot_write_greeting(struct buffer *out, uint32_t pid)
{
	buffer_printf(out, "VERSION\t1\t1\nCPID\t%u\n", pid);
}

static bool write_response(struct buffer *out, const struct dovecot_question *q)
{
	struct buffer plain;
	size_t room;
	bool fine;

	buffer_init(&plain, PLAIN_MESSAGE_MAX);
	buffer_reserve(&plain, PLAIN_MESSAGE_MAX, &room); /* it does not move while it grows */
	fine = buffer_byte(&plain, '\0') && buffer_append(&plain, q->user) &&
	       buffer_byte(&plain, '\0') && buffer_append(&plain, q->password) &&
	       base64_encode(buffer_slice(&plain), out);
	if (plain.data != NULL)
		explicit_bzero(plain.data, plain.size);
	buffer_free(&plain);
	return fine;
}

bool dovecot_write_question(struct buffer *out, const struct dovecot_question *q)
{
	size_t before = out->len;
	bool fine =
	    buffer_printf(out, "AUTH\t%u\tPLAIN\tservice=%s\tsecured\tnologin", q->id, q->service);

	fine = fine && (q->client[0] == '\0' || buffer_printf(out, "\trip=%s", q->client));
	fine = fine && (!q->test || buffer_append(out, SLICE("\tno-penalty")));
	fine = fine && buffer_append(out, SLICE("\tresp=")) && write_response(out, q) &&
	       buffer_byte(out, '\n');
	if (!fine)
		buffer_truncate(out, before);
	return fine;
}
