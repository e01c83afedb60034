/* sasl: whatever lines a client says, what is asked of accounts keeps its limits. The first octet
 * chooses the mechanism, then a line each; `<` at a line's front: given as base64. */
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t binding(void *arg, const char *type, unsigned char *dst)
{
	(void)arg;
	memset(dst, 'b', SASL_BINDING_MAX);
	return strlen(type) % (SASL_BINDING_MAX + 1);
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void look_at_name(struct slice user)
{
	must(user.len <= SASL_USER_MAX && utf8_valid(user));
	for (size_t i = 0; i < user.len; i++)
		must((unsigned char)user.ptr[i] >= ' ' && user.ptr[i] != 127);
}

static enum sasl_step say(struct sasl_session *s, bool begin, struct slice line)
{
	struct buffer text;
	enum sasl_step step;
	buffer_init(&text, SASL_LINE_MAX * 4);
	if (slice_starts(line, SLICE("<")))
		line = slice_from(line, 1);
	else {
		must(base64_encode(slice_sub(line, 0, SASL_LINE_MAX), &text));
		line = buffer_slice(&text);
	}
	step = begin ? sasl_begin(s, line.len > 0, line) : sasl_line(s, line);
	buffer_free(&text);
	return step;
}

static enum sasl_step answer(struct sasl_session *s, enum sasl_step step)
{
	look_at_name(sasl_user(s));
	if (step == SASL_ASK_SALT)
		return must(sasl_user(s).len > 0), sasl_salt(s, SLICE("0123456789abcdef"), 4096);
	if (step == SASL_ASK_PROOF)
		return must(sasl_auth_message(s).len <= SASL_AUTH_MESSAGE_MAX &&
			    sasl_proof(s).len == SASL_PROOF_SIZE),
		       sasl_signature(s, SLICE("0123456789abcdef0123456789abcdef"));
	return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_make(data, size), line;
	if (size == 0)
		return 0;
	struct sasl_terms terms = {.mechanism = 1 << (data[0] & 3),
				   .plus_offered = (data[0] & 4) != 0,
				   .nonce = SLICE("abcdefghijklmnopqrstuvwx"),
				   .binding = binding};
	struct sasl_session *s = sasl_new(&terms);
	enum sasl_step step = SASL_CHALLENGE;
	rest = slice_from(rest, 1);
	for (bool begin = true; step == SASL_CHALLENGE && (begin || rest.len > 0); begin = false) {
		slice_split(rest, '\n', &line, &rest);
		step = answer(s, say(s, begin, line));
	}
	if (step == SASL_ASK_PASSWORD) {
		struct slice password = sasl_password(s);
		must(sasl_user(s).len > 0 && password.len > 0 &&
		     password.len <= SASL_PASSWORD_MAX && utf8_valid(password) &&
		     !memchr(password.ptr, '\0', password.len));
	} else
		must(step == SASL_CHALLENGE || step == SASL_HOLDS || step == SASL_FAILED);
	must((step == SASL_FAILED) == (sasl_fault(s) != SASL_FINE));
	sasl_free(&s);
	return 0;
}
