/*
 * MAIL: begins a transaction with the reverse-path (RFC 5321 4.1.1.2). Here the message gets its
 * queue id, here the queue says whether it can take one (S15), and from here on the settings are
 * those of now.
 */
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"
#include "daemons/smtpd/smtpd.h"

static void heard(struct session *s, const struct router_verdict *v)
{
	char enhanced[ENHANCED_MAX + 1];

	if (v->action != VERDICT_REPLY) {
		session_say(s, 250, "2.1.0", SLICE("Ok"));
		return;
	}
	slice_copy(v->enhanced, enhanced, sizeof(enhanced));
	session_log_refusal(s, "MAIL", v->code, enhanced, v->text, SLICE_EMPTY);
	session_reply(s, v->code, enhanced, "%.*s", SLICE_FMT(v->text));
	transaction_free(&s->transaction);
}

static uint32_t flags_of(const struct mail_parameters *said)
{
	uint32_t flags = 0;

	if (said->utf8)
		flags |= JOB_UTF8;
	if (said->body == MAIL_BODY_8BITMIME)
		flags |= JOB_8BITMIME;
	if (said->ret != MAIL_RET_UNSAID)
		flags |= said->ret == MAIL_RET_FULL ? JOB_RET_FULL : JOB_RET_HDRS;
	return flags;
}

static void begin(struct session *s, const struct address *sender,
		  const struct mail_parameters *said)
{
	char text[ADDRESS_SIZE];
	struct transaction *t;
	uint64_t id = writer_draw_id(queue_writer());

	if (id == 0) {
		session_reply(s, 451, "4.3.0", "The queue is not there now, try later");
		return;
	}
	t = s->transaction = transaction_new(s, id, address_text(sender, text));
	t->flags = flags_of(said);
	t->envid = arena_copy(&t->arena, said->envid);
	t->normalize = listener_normalizes(s->listener);
	verdict_ask(s, STEP_MAIL, SLICE_EMPTY, heard);
}

/* The path and what was said with it. Our own clients may leave out the domain. */
static bool read_argument(struct session *s, struct slice argument, struct address *sender,
			  struct mail_parameters *said, struct refusal *why)
{
	unsigned options = ADDRESS_UTF8 | (session_trusted(s) ? ADDRESS_DOMAINLESS : 0);
	struct slice parameters;

	if (!path_parse_mail(argument, options, sender, &parameters, why) ||
	    !parameters_parse_mail(parameters, said, why))
		return false;
	if (said->auth && !s->kind->login)
		return refuse(why, 555, "5.5.4", "Unsupported parameter");
	if (sender->utf8 && !said->utf8) /* RFC 6531 3.5 */
		return refuse(why, 550, "5.6.7", "A sender address in UTF-8 needs SMTPUTF8");
	if (s->trusted && sender->kind == ADDRESS_NO_DOMAIN && !address_is_null(sender) &&
	    !address_complete(sender, slice_str(smtpd_settings()->origin)))
		return refuse(why, 501, "5.1.7", "Sender address too long");
	return true;
}

/* Whether this client may send a message of this size now; refusals that the log tells. */
static bool may_send(struct session *s, const struct mail_parameters *said, struct refusal *why)
{
	if (said->has_size && said->size > smtpd_settings()->limits.message_size)
		return refuse(why, 552, "5.3.4", "Message is larger than the limit");
	if (s->kind->login && s->mechanism == NULL) /* RFC 6409 4.3 */
		return refuse(why, 530, "5.7.0", "Authentication required");
	if (!s->in_trust && !client_count(s->client, CLIENT_MESSAGE))
		return refuse(why, 450, "4.7.1", "Too much mail from your address in a minute");
	return queue_ready(why);
}

void verb_mail(struct session *s, struct slice argument)
{
	struct address sender;
	struct mail_parameters said;
	struct refusal why;

	if (s->helo == NULL)
		session_reply(s, 503, "5.5.1", "Send EHLO or HELO first");
	else if (s->transaction != NULL)
		session_reply(s, 503, "5.5.1", "Nested MAIL command");
	else if (s->chunks != CHUNKS_NONE)
		session_reply(s, 503, "5.5.1", "BDAT has begun: send RSET first");
	else if (!read_argument(s, argument, &sender, &said, &why))
		session_refuse(s, &why);
	else if (!may_send(s, &said, &why)) {
		session_log_refusal(s, "MAIL", why.code, why.enhanced, slice_str(why.text),
				    SLICE_EMPTY);
		session_refuse(s, &why);
	} else
		begin(s, &sender, &said);
}
