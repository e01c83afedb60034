/*
 * An AUTH exchange: common/sasl reads what the client says, accounts is asked whether it holds.
 * What the client hears of a failure is the same whatever was wrong; the log has why.
 */
#include "common/service/logins.h"

#include "common/base/memory.h"
#include "daemons/smtpd/smtpd.h"

struct login {
	struct sasl_session *sasl;
	uint64_t request; /* to accounts, under way; 0: none */
	bool waits;	  /* for accounts, not for the client */
	bool lost;	  /* while it waited for the client */
	char *user;	  /* SCRAM: whose proof held; NULL: none has */
};

static const struct refusal denied = {535, "5.7.8", "Authentication credentials invalid"};
static const struct refusal banned = {454, "4.7.0", "Too many failed logins, try later"};
static const struct refusal trouble = {454, "4.7.0", "Logins can't be checked now, try later"};

static void take_step(struct session *s, enum sasl_step step);

void login_end(struct session *s)
{
	struct login *l = s->login;

	if (l == NULL)
		return;
	logins_forget(l->request);
	sasl_free(&l->sasl);
	memory_free(l->user);
	memory_free(l);
	s->login = NULL;
}

const char *login_proven(const struct session *s)
{
	return s->login != NULL ? s->login->user : NULL;
}

bool login_waits(const struct session *s)
{
	return s->login != NULL && s->login->waits;
}

/* The exchange is over, whatever came of it. */
static void finish(struct session *s)
{
	login_end(s);
	s->phase = PHASE_COMMAND;
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
}

static const char *mechanism_of(const struct session *s)
{
	return sasl_name(sasl_mechanism(s->login->sasl));
}

static void fail(struct session *s, const char *result, const struct refusal *why,
		 struct slice reason)
{
	session_log_login_failed(s, mechanism_of(s), result, reason, sasl_user(s->login->sasl));
	finish(s);
	session_refuse(s, why);
	if (why == &denied && ++s->denied >= LOGIN_FAILURES_MAX && !s->closing) {
		s->how = "errors";
		session_reply(s, 421, "4.7.0", "%s too many failed logins",
			      smtpd_settings()->hostname);
	}
}

/* By what was said, without accounts. */
static void fail_fault(struct session *s)
{
	static const struct refusal cancelled = {501, "5.7.0", "Authentication cancelled"};
	static const struct refusal too_long = {500, "5.5.6", "Authentication line is too long"};
	static const struct refusal no_base64 = {501, "5.5.2", "That is no base64"};
	static const struct refusal malformed = {501, "5.5.2", "Response not understood"};
	struct slice reason = slice_str(sasl_fault_text(s->login->sasl));

	switch (sasl_fault(s->login->sasl)) {
	case SASL_CANCELLED:
		finish(s);
		session_refuse(s, &cancelled);
		break;
	case SASL_TOO_LONG:
		fail(s, "malformed", &too_long, reason);
		break;
	case SASL_NO_BASE64:
		fail(s, "malformed", &no_base64, reason);
		break;
	case SASL_DENIED:
		fail(s, "denied", &denied, reason);
		break;
	case SASL_TROUBLE:
		fail(s, "trouble", &trouble, reason);
		break;
	case SASL_MALFORMED:
	case SASL_BAD_NAME:
	case SASL_FINE:
		fail(s, "malformed", &malformed, reason);
		break;
	}
}

/* user: the canonical address. */
static void succeed(struct session *s, struct slice user)
{
	s->user = memory_string(user);
	s->mechanism = mechanism_of(s);
	session_log_login(s);
	finish(s);
	(void)session_trusted(s);
	line_reader_init(&s->lines, LINE_COMMAND_MAX);
	session_reply(s, 235, "2.7.0", "Authentication successful");
}

static void refuse_done(struct session *s, const struct login_done *done)
{
	if (done->result == LOGIN_DENIED)
		fail(s, "denied", &denied, done->text);
	else if (done->result == LOGIN_BANNED) {
		fail(s, "banned", &banned, done->text);
		session_close(s, "refused");
	} else
		fail(s, "trouble", &trouble, done->text);
}

static void checked(void *arg, const struct login_done *done)
{
	struct session *s = arg;

	s->login->request = 0;
	s->login->waits = false;
	if (done->result == LOGIN_HOLDS)
		succeed(s, done->user);
	else
		refuse_done(s, done);
	session_resume(s);
}

/* Nothing is said to a client whose turn it is: it hears of it then. */
static void proven(void *arg, const struct login_done *done)
{
	struct session *s = arg;
	bool waited = s->login->waits;

	s->login->request = 0;
	s->login->waits = false;
	s->login->lost = !waited;
	if (!waited)
		return;
	if (done->result == LOGIN_HOLDS) {
		s->login->user = memory_string(done->user);
		take_step(s, sasl_signature(s->login->sasl, done->signature));
	} else
		refuse_done(s, done);
	session_resume(s);
}

static void salted(void *arg, const struct login_salt *salt)
{
	struct session *s = arg;

	s->login->waits = false;
	take_step(s, sasl_salt(s->login->sasl, salt->salt, salt->iterations));
	session_resume(s);
}

static void wait_for_accounts(struct session *s)
{
	s->login->waits = true;
	stream_pause(s->stream);
}

/* What was asked is done already when request is 0. */
static void asked(struct session *s, uint64_t request)
{
	if (request != 0)
		s->login->request = request;
}

static void ask_password(struct session *s)
{
	struct sasl_session *sasl = s->login->sasl;
	struct login_check question = {
	    .service = SLICE("smtp"),
	    .mechanism = slice_str(mechanism_of(s)),
	    .client = slice_str(s->address),
	    .user = sasl_user(sasl),
	    .password = sasl_password(sasl),
	};
	uint64_t request;

	wait_for_accounts(s);
	request = logins_check(&question, checked, s);
	asked(s, request);
	if (request != 0)
		sasl_forget_password(sasl);
}

static void ask_salt(struct session *s)
{
	struct login_scram question = {
	    .service = SLICE("smtp"),
	    .client = slice_str(s->address),
	    .user = sasl_user(s->login->sasl),
	    .mechanism = slice_str(mechanism_of(s)),
	};

	wait_for_accounts(s);
	asked(s, logins_scram(&question, salted, proven, s));
}

static void ask_proof(struct session *s)
{
	struct sasl_session *sasl = s->login->sasl;

	wait_for_accounts(s);
	logins_prove(s->login->request, sasl_auth_message(sasl), sasl_proof(sasl));
}

/* A challenge may be longer than any reply (RFC 4954 4). */
static void say_challenge(struct session *s)
{
	stream_send(s->stream, SLICE("334 "));
	stream_send(s->stream, sasl_challenge(s->login->sasl));
	stream_send(s->stream, SLICE("\r\n"));
}

static void take_step(struct session *s, enum sasl_step step)
{
	switch (step) {
	case SASL_CHALLENGE:
		say_challenge(s);
		break;
	case SASL_ASK_PASSWORD:
		ask_password(s);
		break;
	case SASL_ASK_SALT:
		ask_salt(s);
		break;
	case SASL_ASK_PROOF:
		ask_proof(s);
		break;
	case SASL_HOLDS:
		succeed(s, slice_str(s->login->user));
		break;
	case SASL_FAILED:
		fail_fault(s);
		break;
	}
}

void login_begin(struct session *s, enum sasl_mechanism mechanism, struct slice initial)
{
	s->login = memory_zero(1, sizeof(*s->login));
	s->login->sasl = logins_sasl(s->stream, mechanism);
	s->phase = PHASE_LOGIN;
	take_step(s, sasl_begin(s->login->sasl, initial.len > 0, initial));
}

void login_line(struct session *s, struct slice line)
{
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	if (s->login->lost)
		fail(s, "trouble", &trouble, SLICE("accounts has gone"));
	else
		take_step(s, sasl_line(s->login->sasl, line));
}

void login_broken(struct session *s, const struct refusal *why)
{
	fail(s, "malformed", why, slice_str(why->text));
}
