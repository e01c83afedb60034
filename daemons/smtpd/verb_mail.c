/*
 * MAIL: begins a transaction with the reverse-path (RFC 5321 4.1.1.2). Here the message gets its
 * queue id, and here the queue says whether it can take one (S15).
 */
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"
#include "daemons/smtpd/smtpd.h"

static void heard(struct session *s, const struct router_verdict *v)
{
	if (v->action != VERDICT_REPLY) {
		session_reply(s, 250, "2.1.0", "Ok");
		return;
	}
	session_reply(s, v->code, "5.7.1", "%.*s", SLICE_FMT(v->text));
	transaction_free(&s->transaction);
}

void verb_mail(struct session *s, struct slice argument)
{
	struct address sender;
	struct slice parameters;
	struct mail_parameters said;
	struct refusal why;
	char text[ADDRESS_SIZE];
	uint64_t id;

	if (s->helo == NULL)
		session_reply(s, 503, "5.5.1", "Send EHLO or HELO first");
	else if (s->transaction != NULL)
		session_reply(s, 503, "5.5.1", "Nested MAIL command");
	else if (!path_parse_mail(argument, 0, &sender, &parameters, &why) ||
		 !parameters_parse_mail(parameters, &said, &why))
		session_refuse(s, &why);
	else if (said.has_size && said.size > smtpd_settings()->limits.message_size)
		session_reply(s, 552, "5.3.4", "Message is larger than the limit of %llu octets",
			      (unsigned long long)smtpd_settings()->limits.message_size);
	else if (!queue_ready(&why)) {
		session_log_refusal(s, "MAIL", why.code, why.enhanced, slice_str(why.text),
				    SLICE_EMPTY);
		session_refuse(s, &why);
	} else if ((id = writer_draw_id(queue_writer())) == 0)
		session_reply(s, 451, "4.3.0", "The queue is not there now, try later");
	else {
		s->transaction = transaction_new(s, id, address_text(&sender, text));
		verdict_ask(s, STEP_MAIL, SLICE_EMPTY, heard);
	}
}
