/*
 * DATA: the content follows (RFC 5321 4.1.1.4).
 */
#include "daemons/smtpd/smtpd.h"

static void heard(struct session *s, const struct router_verdict *v)
{
	if (v->action == VERDICT_REPLY) {
		session_reply(s, v->code, "5.7.1", "%.*s", SLICE_FMT(v->text));
		transaction_free(&s->transaction);
		return;
	}
	session_say(s, 354, NULL, SLICE("End data with <CR><LF>.<CR><LF>"));
	receive_begin(s);
	s->phase = PHASE_DATA;
}

void verb_data(struct session *s, struct slice argument)
{
	struct refusal why;

	if (argument.len > 0)
		session_reply(s, 501, "5.5.4", "DATA takes no argument");
	else if (s->chunks != CHUNKS_NONE)
		session_reply(s, 503, "5.5.1",
			      "BDAT has begun: DATA can't follow"); /* RFC 3030 2 */
	else if (s->transaction == NULL)
		session_reply(s, 503, "5.5.1", "Send MAIL first");
	else if (s->transaction->recipient_count == 0)
		/* Also when DATA was pipelined behind recipients that all failed (S12). */
		session_reply(s, 554, "5.5.1", "No valid recipients");
	else if (!queue_ready(&why)) {
		session_log_refusal(s, "DATA", why.code, why.enhanced, slice_str(why.text),
				    SLICE_EMPTY);
		session_refuse(s, &why);
		transaction_free(&s->transaction);
	} else
		verdict_ask(s, STEP_DATA, SLICE_EMPTY, heard);
}
