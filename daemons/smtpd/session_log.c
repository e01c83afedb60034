/*
 * What is logged of a session, one event a line, for people and for programs that know other
 * servers' logs (daemons/log):
 *
 *	connected	client
 *	secured		TLS has begun, with what; unsecured: why it did not
 *	login		who has logged in; login-failed: who has not, and why
 *	accepted	what a message is, under its queue id
 *	refused		a step that got a 4xx or 5xx which the client's mail has to do with
 *	disconnected	how, after which verb, and how often each was said
 */
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

enum { MESSAGE_ID_MAX = 250 };

static void log_client(struct log_line *line, const struct session *s)
{
	log_pair(line, "client", slice_str(s->address));
	if (s->name != NULL)
		log_pair(line, "name", slice_str(s->name));
	if (s->local)
		log_number(line, "uid", s->uid);
	if (s->kind != NULL && s->kind->login)
		log_pair(line, "listener", slice_str(s->kind->name));
}

static void log_user(struct log_line *line, const struct session *s)
{
	if (s->mechanism == NULL)
		return;
	log_pair(line, "mechanism", slice_str(s->mechanism));
	log_pair(line, "user", slice_str(s->user));
}

static void log_hello(struct log_line *line, const struct session *s)
{
	if (s->helo == NULL)
		return;
	log_pair(line, "helo", slice_str(s->helo));
	log_pair(line, "proto", s->esmtp ? SLICE("ESMTP") : SLICE("SMTP"));
}

void session_log_begin(const struct session *s)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "connected");
	log_client(&line, s);
	log_end(&line);
}

void session_log_secured(const struct session *s)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "secured");
	log_client(&line, s);
	secure_log(s->stream, &line);
	log_end(&line);
}

void session_log_unsecured(const struct session *s, const char *why)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "unsecured");
	log_client(&line, s);
	log_pair(&line, "text", slice_str(why));
	log_end(&line);
}

void session_log_login(const struct session *s)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "login");
	log_client(&line, s);
	log_user(&line, s);
	log_end(&line);
}

void session_log_login_failed(const struct session *s, const char *mechanism, const char *result,
			      struct slice why, struct slice user)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_WARNING, 0, "login-failed");
	log_client(&line, s);
	log_pair(&line, "mechanism", slice_str(mechanism));
	log_pair(&line, "result", slice_str(result));
	log_pair(&line, "text", why);
	if (user.len > 0)
		log_pair(&line, "user", user);
	log_end(&line);
}

/* `rcpt=2`, or `rcpt=1/2` when one of two was refused. */
static void log_count(struct log_line *line, const char *key, uint32_t refused, uint32_t all)
{
	if (refused == 0)
		log_number(line, key, all);
	else
		log_text(line, key, "%u/%u", all - refused, all);
}

static void log_counts(struct log_line *line, const struct session *s)
{
	uint32_t all = 0, refused = 0;

	for (int v = VERB_UNKNOWN + 1; v <= VERB_COUNT; v++) {
		enum verb verb = v < VERB_COUNT ? (enum verb)v : VERB_UNKNOWN;
		const struct verb_count *count = &s->counts[verb];
		struct slice name = slice_str(verb_name(verb));
		char key[16];

		if (count->all == 0 || name.len >= sizeof(key))
			continue;
		slice_lower(name, key);
		key[name.len] = '\0';
		log_count(line, key, count->refused, count->all);
		all += count->all;
		refused += count->refused;
	}
	log_count(line, "commands", refused, all);
}

void session_log_end(const struct session *s, const char *how)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "disconnected");
	log_client(&line, s);
	log_pair(&line, "how", slice_str(how));
	log_pair(&line, "after", slice_str(s->after));
	if (s->phase == PHASE_DATA)
		log_number(&line, "content", s->transaction->dot.octets);
	if (s->phase == PHASE_CHUNK)
		log_number(&line, "content", s->bdat.octets);
	log_counts(&line, s);
	log_number(&line, "messages", s->messages);
	log_end(&line);
}

void session_log_refusal(const struct session *s, const char *step, unsigned code,
			 const char *enhanced, struct slice text, struct slice recipient)
{
	struct log_line line;
	const struct transaction *t = s->transaction;

	log_start(&line, LOG_LEVEL_INFO, t ? t->id : 0, "refused");
	log_pair(&line, "step", slice_str(step));
	log_client(&line, s);
	if (s->mechanism != NULL)
		log_pair(&line, "user", slice_str(s->user));
	log_hello(&line, s);
	/* before what a stranger can make long: no name cuts it off (daemons/log, fail2ban) */
	log_text(&line, "reply", "%u %s%s%.*s", code, enhanced, *enhanced ? " " : "",
		 SLICE_FMT(text));
	if (t != NULL)
		log_pair(&line, "from", t->sender);
	if (recipient.len > 0)
		log_pair(&line, "to", recipient);
	log_end(&line);
}

void session_log_accepted(const struct session *s)
{
	const struct transaction *t = s->transaction;
	struct slice rest = t->look.message_id_value;
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, t->id, "accepted");
	log_client(&line, s);
	log_user(&line, s);
	log_hello(&line, s);
	log_pair(&line, "from", t->sender);
	log_number(&line, "recipients", t->recipient_count);
	log_number(&line, "size", t->stored);
	/* what follows it in its field is comment or worse */
	log_pair(&line, "message-id", slice_sub(slice_word(&rest), 0, MESSAGE_ID_MAX));
	if (t->hold.len > 0)
		log_pair(&line, "held", t->hold);
	log_end(&line);
}
