/*
 * RCPT: one recipient (RFC 5321 4.1.1.3). Whether it is ours is the router's to say.
 */
#include "common/base/memory.h"
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"
#include "daemons/smtpd/smtpd.h"

static void accept_recipient(struct session *s, struct transaction *t)
{
	if (transaction_has(t, &t->asked) || transaction_add(t, &t->asked)) {
		session_say(s, 250, "2.1.5", SLICE("Ok"));
		return;
	}
	session_reply(s, 452, "4.5.3", "Too many recipients");
}

static void take_verdict(struct session *s, struct transaction *t, const struct router_verdict *v)
{
	char enhanced[ENHANCED_MAX + 1];

	if (v->action == VERDICT_CONTINUE || v->action == VERDICT_DISCARD) {
		t->discard = t->discard || v->action == VERDICT_DISCARD;
		accept_recipient(s, t);
		return;
	}
	slice_copy(v->enhanced, enhanced, sizeof(enhanced));
	session_log_refusal(s, "RCPT", v->code, enhanced, v->text, recipient_address(&t->asked));
	/* A program of this machine has a list to send to; nobody harvests addresses here. */
	if (v->code >= 500 && !s->local &&
	    ++s->unknown > smtpd_settings()->limits.unknown_recipients) {
		session_reply(s, 421, "4.7.0", "%s too many unknown recipients",
			      smtpd_settings()->hostname);
		return;
	}
	session_reply(s, v->code, enhanced, "%.*s", SLICE_FMT(v->text));
}

/* Between recipients a transaction that waits for its client is small. */
static void heard(struct session *s, const struct router_verdict *v)
{
	struct transaction *t = s->transaction;

	take_verdict(s, t, v);
	memory_free(t->asked_key);
	t->asked_key = NULL;
	t->asked = (struct recipient){.key = SLICE_EMPTY};
}

/* The path and what was said with it, into the transaction. Our own clients may leave out the
 * domain; `postmaster` stays as it is, which is an address of its own (S19). */
static bool read_argument(struct session *s, struct slice argument, struct refusal *why)
{
	struct transaction *t = s->transaction;
	unsigned options = ADDRESS_UTF8 | (s->trusted ? ADDRESS_DOMAINLESS : 0);
	struct address recipient;
	struct slice parameters;
	struct rcpt_parameters said;
	char text[ADDRESS_SIZE];

	_Static_assert((int)RCPT_NOTIFY_NEVER == NOTIFY_NEVER &&
			   (int)RCPT_NOTIFY_SUCCESS == NOTIFY_SUCCESS &&
			   (int)RCPT_NOTIFY_FAILURE == NOTIFY_FAILURE &&
			   (int)RCPT_NOTIFY_DELAY == NOTIFY_DELAY,
		       "the words of the protocol are those of our dialogue");
	if (!path_parse_rcpt(argument, options, &recipient, &parameters, why) ||
	    !parameters_parse_rcpt(parameters, &said, why))
		return false;
	if (recipient.utf8 && !(t->flags & JOB_UTF8)) /* RFC 6531 3.5 */
		return refuse(why, 553, "5.6.7", "A recipient address in UTF-8 needs SMTPUTF8");
	if (recipient.kind == ADDRESS_NO_DOMAIN && s->trusted &&
	    !slice_equal_fold(address_local(&recipient), SLICE("postmaster")) &&
	    !address_complete(&recipient, slice_str(smtpd_settings()->origin)))
		return refuse(why, 501, "5.1.3", "Recipient address too long");
	if (t->asked_key == NULL)
		t->asked_key = memory_get(RECIPIENT_KEY_MAX + 1);
	t->asked =
	    recipient_make(address_text(&recipient, text), said.notify, said.orcpt, t->asked_key);
	return true;
}

void verb_rcpt(struct session *s, struct slice argument)
{
	static const struct refusal too_fast = {
	    450, "4.7.1", "Too many recipients from your address in a minute"};
	struct transaction *t = s->transaction;
	struct refusal why;

	if (s->chunks != CHUNKS_NONE)
		session_reply(s, 503, "5.5.1", "BDAT has begun: no recipient can follow");
	else if (t == NULL)
		session_reply(s, 503, "5.5.1", "Send MAIL first");
	else if (!read_argument(s, argument, &why))
		session_refuse(s, &why);
	else if (t->recipient_count >= t->recipients_max)
		session_reply(s, 452, "4.5.3", "Too many recipients");
	else if (!s->in_trust && !client_count(s->client, CLIENT_RECIPIENT)) {
		session_log_refusal(s, "RCPT", too_fast.code, too_fast.enhanced,
				    slice_str(too_fast.text), recipient_address(&t->asked));
		session_refuse(s, &too_fast);
	} else
		verdict_ask(s, STEP_RCPT, recipient_address(&t->asked), heard);
}
