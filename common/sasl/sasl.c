/*
 * sasl: the session that all mechanisms share: base64 in and out, limits, what is expected when,
 * and what an identity may look like. What is decoded is wiped as soon as the mechanism has read
 * it.
 */
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/sasl/parts.h"

/* The best first: what sasl_offer writes. */
static const struct sasl_kind kinds[] = {
    {SASL_SCRAM_PLUS, "SCRAM-SHA-256-PLUS", {NULL, 0}, scram_first, scram_final},
    {SASL_SCRAM, "SCRAM-SHA-256", {NULL, 0}, scram_first, scram_final},
    {SASL_PLAIN, "PLAIN", {NULL, 0}, plain_first, NULL},
    {SASL_LOGIN, "LOGIN", {"Username:", 9}, login_first, login_second},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

enum sasl_mechanism sasl_named(struct slice name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (slice_equal_fold(name, slice_str(kinds[i].name)))
			return kinds[i].mechanism;
	return 0;
}

static const struct sasl_kind *kind_of(enum sasl_mechanism mechanism)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].mechanism == mechanism)
			return &kinds[i];
	return NULL;
}

const char *sasl_name(enum sasl_mechanism mechanism)
{
	const struct sasl_kind *kind = kind_of(mechanism);
	return kind ? kind->name : "";
}

bool sasl_offer(unsigned mechanisms, struct buffer *out)
{
	bool any = false, fine = true;
	for (size_t i = 0; i < KINDS && fine; i++) {
		if (!(mechanisms & kinds[i].mechanism))
			continue;
		fine =
		    (!any || buffer_byte(out, ' ')) && buffer_append(out, slice_str(kinds[i].name));
		any = true;
	}
	return fine;
}

struct sasl_session *sasl_new(const struct sasl_terms *terms)
{
	struct sasl_session *s = memory_zero(1, sizeof(*s));
	s->kind = kind_of(terms->mechanism);
	s->plus_offered = terms->plus_offered;
	s->binding = terms->binding;
	s->arg = terms->arg;
	s->nonce_len = terms->nonce.len < SASL_NONCE_MAX ? terms->nonce.len : SASL_NONCE_MAX;
	if (s->nonce_len > 0)
		memcpy(s->nonce, terms->nonce.ptr, s->nonce_len);
	buffer_init(&s->challenge, SASL_AUTH_MESSAGE_MAX);
	return s;
}

void sasl_free(struct sasl_session **s)
{
	if (!*s)
		return;
	buffer_free(&(*s)->challenge);
	explicit_bzero(*s, sizeof(**s));
	memory_free(*s);
	*s = NULL;
}

enum sasl_step sasl_fail(struct sasl_session *s, enum sasl_fault fault, const char *why)
{
	sasl_forget_password(s);
	s->fault = fault;
	s->why = why;
	s->wait = WAIT_NOTHING;
	return SASL_FAILED;
}

enum sasl_step sasl_challenge_is(struct sasl_session *s, struct slice text, enum sasl_wait wait)
{
	buffer_reset(&s->challenge);
	if (!base64_encode(text, &s->challenge))
		return sasl_fail(s, SASL_TROUBLE, "the challenge is too long");
	s->wait = wait;
	return SASL_CHALLENGE;
}

/* S10: nothing that ends a line, a string or a field of some other program's protocol or log. */
static bool name_fine(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 127)
			return false;
	return utf8_valid(name);
}

bool sasl_take_user(struct sasl_session *s, struct slice name)
{
	if (name.len == 0 || name.len > SASL_USER_MAX)
		sasl_fail(s, SASL_MALFORMED, "no user name, or one that is too long");
	else if (!name_fine(name))
		sasl_fail(s, SASL_BAD_NAME, "characters that no user name has");
	else {
		memcpy(s->user, name.ptr, name.len);
		s->user_len = name.len;
		return true;
	}
	return false;
}

bool sasl_take_password(struct sasl_session *s, struct slice password)
{
	if (password.len == 0 || password.len > SASL_PASSWORD_MAX ||
	    memchr(password.ptr, '\0', password.len) || !utf8_valid(password)) {
		sasl_fail(s, SASL_MALFORMED, "no password, or one that nobody can have");
		return false;
	}
	memcpy(s->password, password.ptr, password.len);
	s->password_len = password.len;
	return true;
}

bool sasl_is_self(struct sasl_session *s, struct slice authorization)
{
	if (authorization.len == 0 || slice_equal_fold(authorization, sasl_user(s)))
		return true;
	sasl_fail(s, SASL_DENIED, "nobody may act for another");
	return false;
}

static enum sasl_step respond(struct sasl_session *s, struct slice decoded)
{
	enum sasl_wait wait = s->wait;
	s->wait = WAIT_NOTHING;
	if (wait == WAIT_FIRST)
		return s->kind->first(s, decoded);
	if (wait == WAIT_SECOND && s->kind->second)
		return s->kind->second(s, decoded);
	if (wait == WAIT_EMPTY && decoded.len == 0)
		return SASL_HOLDS;
	return sasl_fail(s, SASL_MALFORMED, "a response that was not asked for");
}

enum sasl_step sasl_line(struct sasl_session *s, struct slice text)
{
	struct buffer decoded;
	size_t room;
	enum sasl_step step;
	if (slice_equal(text, SLICE("*")))
		return sasl_fail(s, SASL_CANCELLED, "the client cancelled it");
	if (text.len > SASL_LINE_MAX)
		return sasl_fail(s, SASL_TOO_LONG, "the line is too long");
	buffer_init(&decoded, SASL_LINE_MAX);
	/* All at once: memory that had to grow would leave a copy behind. */
	buffer_reserve(&decoded, SASL_LINE_MAX, &room);
	step = base64_decode(text, &decoded) ? respond(s, buffer_slice(&decoded))
					     : sasl_fail(s, SASL_NO_BASE64, "that is no base64");
	explicit_bzero(decoded.data, decoded.size);
	buffer_free(&decoded);
	return step;
}

enum sasl_step sasl_begin(struct sasl_session *s, bool given, struct slice text)
{
	if (!given)
		return sasl_challenge_is(s, s->kind->greeting, WAIT_FIRST);
	/* RFC 4954 4: an initial response of no octets is written `=`. */
	return sasl_line(s, slice_equal(text, SLICE("=")) ? SLICE_EMPTY : text);
}

struct slice sasl_challenge(const struct sasl_session *s)
{
	return buffer_slice(&s->challenge);
}

struct slice sasl_user(const struct sasl_session *s)
{
	return slice_make(s->user, s->user_len);
}

struct slice sasl_password(const struct sasl_session *s)
{
	return slice_make(s->password, s->password_len);
}

void sasl_forget_password(struct sasl_session *s)
{
	explicit_bzero(s->password, sizeof(s->password));
	s->password_len = 0;
}

struct slice sasl_auth_message(const struct sasl_session *s)
{
	return slice_make(s->message, s->message_len);
}

struct slice sasl_proof(const struct sasl_session *s)
{
	return slice_make(s->proof, sizeof(s->proof));
}

enum sasl_mechanism sasl_mechanism(const struct sasl_session *s)
{
	return s->kind->mechanism;
}

enum sasl_fault sasl_fault(const struct sasl_session *s)
{
	return s->fault;
}

const char *sasl_fault_text(const struct sasl_session *s)
{
	return s->why ? s->why : "";
}
