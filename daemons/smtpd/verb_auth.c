/*
 * AUTH: a user says who he is (RFC 4954). Only where users log in, and only under TLS (S10).
 */
#include "common/service/logins.h"
#include "daemons/smtpd/smtpd.h"

static bool may_begin(const struct session *s, struct refusal *why)
{
	if (!s->kind->login)
		return refuse(why, 502, "5.5.1", "AUTH is not offered here");
	if (!s->secure)
		return refuse(why, 538, "5.7.11", "Must issue a STARTTLS command first");
	if (!s->esmtp)
		return refuse(why, 503, "5.5.1", "Send EHLO first");
	if (s->mechanism != NULL)
		return refuse(why, 503, "5.5.1", "You have logged in already");
	if (s->transaction != NULL || s->chunks != CHUNKS_NONE)
		return refuse(why, 503, "5.5.1", "AUTH can't come within a transaction");
	if (logins_offered() == 0)
		return refuse(why, 454, "4.7.0", "Nobody can log in now, try later");
	return true;
}

void verb_auth(struct session *s, struct slice argument)
{
	struct slice name = slice_word(&argument), initial = slice_word(&argument);
	enum sasl_mechanism mechanism = sasl_named(name);
	struct refusal why;

	if (!may_begin(s, &why))
		session_refuse(s, &why);
	else if (name.len == 0 || slice_word(&argument).len > 0)
		session_reply(s, 501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
	else if (!(mechanism & logins_mechanisms(s->stream)))
		session_reply(s, 504, "5.5.4", "Mechanism not offered");
	else
		login_begin(s, mechanism, initial);
}
