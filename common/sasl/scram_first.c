/*
 * scram_first: the client's first message, with what it says of channel binding (RFC 5802 6, 7),
 * and the server's answer to it. What both say is kept as it was said: AuthMessage is made of it.
 */
#include <stdio.h>

#include "common/base/encode.h"
#include "common/sasl/parts.h"

/* RFC 5802 7, printable: what a nonce may have. */
static bool printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e || text.ptr[i] == ',')
			return false;
	return text.len > 0;
}

bool scram_attribute(struct slice *rest, char *name, struct slice *value)
{
	struct slice attribute;
	slice_split(*rest, ',', &attribute, rest);
	if (attribute.len < 2 || attribute.ptr[1] != '=')
		return false;
	*name = attribute.ptr[0];
	*value = slice_from(attribute, 2);
	return true;
}

/* saslname: `=2C` is a comma, `=3D` a `=`, and nothing else begins with one. */
static bool unescape(struct slice name, char dst[SASL_USER_MAX], struct slice *out)
{
	size_t len = 0;
	while (name.len > 0) {
		char c = name.ptr[0];
		size_t took = 1;
		if (c == '=') {
			took = 3;
			if (slice_starts(name, SLICE("=2C")))
				c = ',';
			else if (!slice_starts(name, SLICE("=3D")))
				return false;
		}
		if (len == SASL_USER_MAX)
			return false;
		dst[len++] = c;
		name = slice_from(name, took);
	}
	*out = slice_make(dst, len);
	return true;
}

/* Keeps what c= must say: the header, and the channel's binding where the client wants one. */
static bool keep_binding(struct sasl_session *s, struct slice header, struct slice type)
{
	char name[32];
	unsigned char data[SASL_BINDING_MAX];
	size_t len = 0;
	if (type.len > 0 && slice_copy(type, name, sizeof(name)) && s->binding)
		len = s->binding(s->arg, name, data);
	if (type.len > 0 && (len == 0 || len > sizeof(data))) {
		sasl_fail(s, SASL_DENIED, "a channel binding that is not supported");
		return false;
	}
	memcpy(s->bound, header.ptr, header.len);
	memcpy(s->bound + header.len, data, len);
	s->bound_len = header.len + len;
	return true;
}

/* gs2-cbind-flag. The client knows whether it can bind and whether we offered it; `y` says that it
 * could, had we offered: when we did, somebody took it from the offer (RFC 5802 6). */
static bool take_flag(struct sasl_session *s, struct slice flag, struct slice *type)
{
	bool plus = s->kind->mechanism == SASL_SCRAM_PLUS;
	*type = SLICE_EMPTY;
	if (slice_starts(flag, SLICE("p="))) {
		*type = slice_from(flag, 2);
		if (plus && type->len > 0)
			return true;
		sasl_fail(s, SASL_MALFORMED, "channel binding in a mechanism without it");
	} else if (slice_equal(flag, SLICE("y")) && s->plus_offered)
		sasl_fail(s, SASL_DENIED, "the offer of channel binding was taken away");
	else if (!slice_equal(flag, SLICE("y")) && !slice_equal(flag, SLICE("n")))
		sasl_fail(s, SASL_MALFORMED, "no first message of SCRAM");
	else if (plus)
		sasl_fail(s, SASL_MALFORMED, "no channel binding in a mechanism with it");
	else
		return true;
	return false;
}

/* gs2-header: flag, authorization identity; *bare is what follows. */
static bool take_header(struct sasl_session *s, struct slice text, struct slice *authorization,
			struct slice *bare)
{
	struct slice flag, type, rest;
	if (text.len > SASL_GS2_MAX || !slice_split(text, ',', &flag, &rest) ||
	    !slice_split(rest, ',', authorization, bare)) {
		sasl_fail(s, SASL_MALFORMED, "no first message of SCRAM");
		return false;
	}
	if (!take_flag(s, flag, &type))
		return false;
	if (authorization->len > 0) {
		if (!slice_starts(*authorization, SLICE("a=")) || authorization->len == 2) {
			sasl_fail(s, SASL_MALFORMED, "no first message of SCRAM");
			return false;
		}
		*authorization = slice_from(*authorization, 2);
	}
	return keep_binding(s, slice_sub(text, 0, text.len - bare->len), type);
}

/* client-first-message-bare: n=, r=, and extensions, which we need not know (RFC 5802 7). A leading
 * m= would be one that we must know. */
static bool take_bare(struct sasl_session *s, struct slice bare, struct slice authorization)
{
	struct slice rest = bare, name, nonce, extension;
	char text[SASL_USER_MAX], first, second, other;
	if (!scram_attribute(&rest, &first, &name) || first != 'n' ||
	    !scram_attribute(&rest, &second, &nonce) || second != 'r' || !printable(nonce)) {
		sasl_fail(s, SASL_MALFORMED, "no first message of SCRAM");
		return false;
	}
	while (rest.len > 0)
		if (!scram_attribute(&rest, &other, &extension)) {
			sasl_fail(s, SASL_MALFORMED, "no first message of SCRAM");
			return false;
		}
	if (!unescape(name, text, &name)) {
		sasl_fail(s, SASL_MALFORMED, "a user name that is not escaped as SCRAM does");
		return false;
	}
	if (!sasl_take_user(s, name))
		return false;
	if (!unescape(authorization, text, &authorization)) {
		sasl_fail(s, SASL_MALFORMED, "a user name that is not escaped as SCRAM does");
		return false;
	}
	s->nonces_at = (size_t)(nonce.ptr - bare.ptr);
	s->nonces_len = nonce.len;
	return sasl_is_self(s, authorization);
}

enum sasl_step scram_first(struct sasl_session *s, struct slice text)
{
	struct slice authorization, bare;
	if (!take_header(s, text, &authorization, &bare) || !take_bare(s, bare, authorization))
		return SASL_FAILED;
	memcpy(s->message, bare.ptr, bare.len);
	s->first_len = bare.len;
	s->wait = WAIT_SALT;
	return SASL_ASK_SALT;
}

/* server-first-message: r= both nonces, s= salt, i= iterations. */
enum sasl_step sasl_salt(struct sasl_session *s, struct slice salt, uint32_t iterations)
{
	struct buffer out;
	enum sasl_step step;
	size_t begin = s->first_len + 1; /* behind a comma */
	if (s->wait != WAIT_SALT)
		return sasl_fail(s, SASL_TROUBLE, "an answer that was not asked for");
	if (salt.len == 0 || salt.len > SASL_SALT_MAX || iterations == 0 || s->nonce_len == 0)
		return sasl_fail(s, SASL_TROUBLE, "no salt, or no nonce");
	buffer_init(&out, SASL_AUTH_MESSAGE_MAX);
	if (buffer_append(&out, slice_make(s->message, s->first_len)) &&
	    buffer_append(&out, SLICE(",r=")) &&
	    buffer_append(&out, slice_make(s->message + s->nonces_at, s->nonces_len)) &&
	    buffer_append(&out, slice_make(s->nonce, s->nonce_len)) &&
	    buffer_append(&out, SLICE(",s=")) && base64_encode(salt, &out) &&
	    buffer_printf(&out, ",i=%u", iterations)) {
		s->message_len = out.len;
		s->nonces_at = begin + 2;
		s->nonces_len += s->nonce_len;
		memcpy(s->message, buffer_slice(&out).ptr, out.len);
		step = sasl_challenge_is(s, slice_from(buffer_slice(&out), begin), WAIT_SECOND);
	} else
		step = sasl_fail(s, SASL_MALFORMED, "the first message is too long");
	buffer_free(&out);
	return step;
}
