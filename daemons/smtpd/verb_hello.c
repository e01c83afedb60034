/*
 * HELO and EHLO: who the client says it is; both reset the transaction (RFC 5321 4.1.1.1).
 */
#include "common/service/logins.h"
#include "common/base/memory.h"
#include "daemons/smtpd/smtpd.h"

/* What may stand in our trace field and log: a word of printable ASCII. Whether it is a real name
 * says nothing about the client, so nothing more is asked of it. */
static bool name_plausible(struct slice name)
{
	if (name.len == 0 || name.len > HOST_NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= 32 || name.ptr[i] > 126)
			return false;
	return true;
}

/* RFC 3207 4, RFC 4954 3: what is offered is what would be taken now. */
static void offer_login(const struct session *s, struct buffer *reply)
{
	struct buffer names;

	if (handshake_offered(s))
		reply_more(reply, 250, NULL, "STARTTLS");
	if (!s->kind->login || !s->secure || logins_mechanisms(s->stream) == 0)
		return;
	buffer_init(&names, REPLY_LINE_MAX);
	sasl_offer(logins_mechanisms(s->stream), &names);
	reply_more(reply, 250, NULL, "AUTH %.*s", SLICE_FMT(buffer_slice(&names)));
	buffer_free(&names);
}

static void greet_extended(struct session *s)
{
	struct buffer reply;

	buffer_init(&reply, 10 * REPLY_LINE_MAX);
	reply_more(&reply, 250, NULL, "%s", smtpd_settings()->hostname);
	reply_more(&reply, 250, NULL, "PIPELINING");
	reply_more(&reply, 250, NULL, "SIZE %llu",
		   (unsigned long long)smtpd_settings()->limits.message_size);
	reply_more(&reply, 250, NULL, "ENHANCEDSTATUSCODES");
	reply_more(&reply, 250, NULL, "8BITMIME");
	reply_more(&reply, 250, NULL, "DSN");
	reply_more(&reply, 250, NULL, "SMTPUTF8");
	offer_login(s, &reply);
	reply_write(&reply, 250, NULL, "CHUNKING");
	stream_send(s->stream, buffer_slice(&reply));
	buffer_free(&reply);
}

static void heard(struct session *s, const struct router_verdict *v)
{
	if (v->action == VERDICT_REPLY) {
		session_reply(s, v->code, NULL, "%.*s", SLICE_FMT(v->text));
		return;
	}
	if (s->esmtp)
		greet_extended(s);
	else
		session_reply(s, 250, NULL, "%s", smtpd_settings()->hostname);
}

void verb_hello(struct session *s, struct slice argument, bool extended)
{
	if (!name_plausible(argument)) {
		session_reply(s, 501, NULL, "Syntax: %s hostname", extended ? "EHLO" : "HELO");
		return;
	}
	session_reset(s);
	memory_free(s->helo);
	s->helo = memory_string(argument);
	s->esmtp = extended;
	verdict_ask(s, STEP_HELO, SLICE_EMPTY, heard);
}
