/*
 * plain: the two mechanisms that send the password itself, PLAIN (RFC 4616) in one message, LOGIN
 * (draft-murchison-sasl-login) in two. Who offers them does so under TLS alone.
 */
#include "common/sasl/parts.h"

/* RFC 4616 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd */
enum sasl_step plain_first(struct sasl_session *s, struct slice text)
{
	struct slice authorization, user, password;
	if (!slice_split(text, '\0', &authorization, &text) ||
	    !slice_split(text, '\0', &user, &password))
		return sasl_fail(s, SASL_MALFORMED, "no message of PLAIN");
	if (memchr(password.ptr, '\0', password.len))
		return sasl_fail(s, SASL_MALFORMED, "a NUL too many");
	return sasl_take_user(s, user) && sasl_is_self(s, authorization) &&
		       sasl_take_password(s, password)
		   ? SASL_ASK_PASSWORD
		   : SASL_FAILED;
}

enum sasl_step login_first(struct sasl_session *s, struct slice text)
{
	return sasl_take_user(s, text) ? sasl_challenge_is(s, SLICE("Password:"), WAIT_SECOND)
				       : SASL_FAILED;
}

enum sasl_step login_second(struct sasl_session *s, struct slice text)
{
	return sasl_take_password(s, text) ? SASL_ASK_PASSWORD : SASL_FAILED;
}
