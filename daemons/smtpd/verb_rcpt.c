/*
 * RCPT: one recipient (RFC 5321 4.1.1.3). Whether it is ours is the router's to say.
 */
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"
#include "daemons/smtpd/smtpd.h"

static void accept_recipient(struct session *s, struct transaction *t)
{
	if (transaction_has(t, t->asked) || transaction_add(t, t->asked)) {
		session_reply(s, 250, "2.1.5", "Ok");
		return;
	}
	session_reply(s, 452, "4.5.3", "Too many recipients");
}

static void heard(struct session *s, const struct router_verdict *v)
{
	struct transaction *t = s->transaction;
	char enhanced[ENHANCED_MAX + 1];

	if (v->action == VERDICT_CONTINUE || v->action == VERDICT_DISCARD) {
		t->discard = t->discard || v->action == VERDICT_DISCARD;
		accept_recipient(s, t);
		return;
	}
	slice_copy(v->enhanced, enhanced, sizeof(enhanced));
	session_log_refusal(s, "RCPT", v->code, enhanced, v->text, t->asked);
	if (v->code >= 500 && ++s->unknown > smtpd_settings()->limits.unknown_recipients) {
		session_reply(s, 421, "4.7.0", "%s too many unknown recipients",
			      smtpd_settings()->hostname);
		return;
	}
	session_reply(s, v->code, enhanced, "%.*s", SLICE_FMT(v->text));
}

void verb_rcpt(struct session *s, struct slice argument)
{
	struct transaction *t = s->transaction;
	struct address recipient;
	struct slice parameters;
	struct rcpt_parameters said;
	struct refusal why;
	char text[ADDRESS_SIZE];

	if (t == NULL) {
		session_reply(s, 503, "5.5.1", "Send MAIL first");
		return;
	}
	if (!path_parse_rcpt(argument, 0, &recipient, &parameters, &why) ||
	    !parameters_parse_rcpt(parameters, &said, &why)) {
		session_refuse(s, &why);
		return;
	}
	if (t->recipient_count >= smtpd_settings()->limits.recipients) {
		session_reply(s, 452, "4.5.3", "Too many recipients");
		return;
	}
	slice_copy(address_text(&recipient, text), t->asked_text, sizeof(t->asked_text));
	t->asked = slice_str(t->asked_text);
	verdict_ask(s, STEP_RCPT, t->asked, heard);
}
