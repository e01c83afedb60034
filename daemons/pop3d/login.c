/*
 * Who is it? Passwords are said under TLS alone, and leave this process at once: accounts decides,
 * and takes its time where it does not like the answer. What the client says to a challenge is read
 * by common/sasl.
 */
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/service/logins.h"
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

enum { CHALLENGE_MAX = SASL_LINE_MAX };

unsigned login_mechanisms(const struct session *s)
{
	return s->secured ? logins_mechanisms(s->stream) : 0;
}

bool login_by_password(const struct session *s)
{
	return (login_mechanisms(s) & (SASL_PLAIN | SASL_LOGIN)) != 0;
}

void login_forget(struct session *s)
{
	if (s->login)
		logins_forget(s->login);
	s->login = 0;
	sasl_free(&s->sasl);
	s->login_lost = false;
	memory_free(s->granted);
	s->granted = NULL;
	memory_free(s->name);
	s->name = NULL;
}

/* What accounts says */

static void holds(struct session *s, const char *user, struct slice ticket)
{
	if (server_draining()) {
		session_err(s, "SYS/TEMP", "the server is stopping");
		session_close(s, "stopped");
		return;
	}
	s->user = memory_string(slice_str(user));
	session_log_login(s);
	box_open(s, ticket);
	login_forget(s);
}

/* One answer for all reasons: a stranger does not hear who is there. */
static void fails(struct session *s, const struct login_done *done)
{
	bool banned = done->result == LOGIN_BANNED, denied = done->result == LOGIN_DENIED;
	struct slice user = s->sasl ? sasl_user(s->sasl) : slice_str(s->name);
	session_log_login_failed(s,
				 banned	  ? "banned"
				 : denied ? "denied"
					  : "trouble",
				 done->text, user);
	login_forget(s);
	if (banned) {
		session_err(s, "AUTH", "too many failed logins, try later");
		session_close(s, "banned");
	} else if (denied) {
		session_err(s, "AUTH", "wrong user or password");
	} else {
		session_err(s, "SYS/TEMP", "the login can't be checked now");
	}
	session_resume(s, PHASE_AUTHORIZATION);
}

static void step(struct session *s, enum sasl_step what);

static void heard(void *arg, const struct login_done *done)
{
	struct session *s = arg;
	char user[LOGIN_USER_MAX + 1];
	s->login = 0;
	if (s->phase == PHASE_SASL) {
		s->login_lost = true;
		return;
	}
	if (done->result != LOGIN_HOLDS || done->ticket.len != LOGIN_TICKET_SIZE ||
	    !slice_copy(done->user, user, sizeof(user)) || user[0] == '\0') {
		fails(s, done);
		return;
	}
	if (!s->sasl || !(sasl_mechanism(s->sasl) & SASL_SCRAM_BOTH)) {
		holds(s, user, done->ticket);
		return;
	}
	/* SCRAM: the client hears our signature, and says that it has (RFC 5034 4); the ticket is
	 * good for longer than that may take, or the login is done again. */
	s->granted = memory_zero(1, sizeof(*s->granted));
	memcpy(s->granted->ticket, done->ticket.ptr, LOGIN_TICKET_SIZE);
	slice_copy(slice_str(user), s->granted->user, sizeof(s->granted->user));
	step(s, sasl_signature(s->sasl, done->signature));
}

static void salted(void *arg, const struct login_salt *salt)
{
	struct session *s = arg;
	step(s, sasl_salt(s->sasl, salt->salt, salt->iterations));
}

/* Asking */

static void wait_for_accounts(struct session *s)
{
	session_wait(s, PHASE_LOGIN, 0); /* logins has a time of its own */
}

static void check_password(struct session *s, struct slice user, struct slice password)
{
	struct login_check m = {.service = SLICE("pop3"),
				.mechanism = slice_str(s->mechanism),
				.client = slice_str(s->address),
				.user = user,
				.password = password};
	wait_for_accounts(s);
	s->login = logins_check(&m, heard, s);
}

static void ask_salt(struct session *s)
{
	struct login_scram m = {.service = SLICE("pop3"),
				.client = slice_str(s->address),
				.user = sasl_user(s->sasl),
				.mechanism = slice_str(s->mechanism)};
	wait_for_accounts(s);
	s->login = logins_scram(&m, salted, heard, s);
}

/* SASL */

static void say_challenge(struct session *s)
{
	struct buffer b;
	buffer_init(&b, CHALLENGE_MAX);
	buffer_append(&b, SLICE("+ "));
	buffer_append(&b, sasl_challenge(s->sasl));
	buffer_append(&b, SLICE("\r\n"));
	session_say(s, buffer_slice(&b));
	buffer_free(&b);
	session_resume(s, PHASE_SASL);
}

/* RFC 5034 4: the exchange is over, and the session goes on. */
static void sasl_failed(struct session *s)
{
	enum sasl_fault fault = sasl_fault(s->sasl);
	session_log_login_failed(s, fault == SASL_DENIED ? "denied" : "malformed",
				 slice_str(sasl_fault_text(s->sasl)), sasl_user(s->sasl));
	login_forget(s);
	if (fault == SASL_DENIED)
		session_err(s, "AUTH", "wrong user or password");
	else if (fault == SASL_TROUBLE)
		session_err(s, "SYS/TEMP", "the login can't be checked now");
	else
		session_err(s, NULL, "%s",
			    fault == SASL_CANCELLED ? "cancelled" : "that can't be read");
	session_resume(s, PHASE_AUTHORIZATION);
}

static void step(struct session *s, enum sasl_step what)
{
	switch (what) {
	case SASL_CHALLENGE:
		say_challenge(s);
		break;
	case SASL_ASK_PASSWORD:
		check_password(s, sasl_user(s->sasl), sasl_password(s->sasl));
		if (s->sasl)
			sasl_forget_password(s->sasl);
		break;
	case SASL_ASK_SALT:
		ask_salt(s);
		break;
	case SASL_ASK_PROOF:
		wait_for_accounts(s);
		logins_prove(s->login, sasl_auth_message(s->sasl), sasl_proof(s->sasl));
		break;
	case SASL_HOLDS:
		holds(s, s->granted->user, slice_make(s->granted->ticket, LOGIN_TICKET_SIZE));
		break;
	case SASL_FAILED:
		sasl_failed(s);
		break;
	}
}

static void begin_sasl(struct session *s, enum sasl_mechanism mechanism, bool given,
		       struct slice text)
{
	login_forget(s);
	s->sasl = logins_sasl(s->stream, mechanism);
	s->mechanism = sasl_name(mechanism);
	step(s, sasl_begin(s->sasl, given, text));
}

void login_line(struct session *s, struct slice line)
{
	static const struct login_done lost = {.result = LOGIN_TROUBLE,
					       .text = {"accounts has gone", 17}};
	if (s->login_lost)
		fails(s, &lost);
	else
		step(s, sasl_line(s->sasl, line));
}

void login_line_bad(struct session *s)
{
	session_log_login_failed(s, "malformed", SLICE("no line of an exchange"),
				 sasl_user(s->sasl));
	login_forget(s);
	session_err(s, NULL, "that can't be read");
	session_resume(s, PHASE_AUTHORIZATION);
}

/* Verbs */

/* Without an argument: what there is, as older clients ask for it. */
static void list_mechanisms(struct session *s, unsigned mechanisms)
{
	struct buffer b;
	struct slice rest, word;
	buffer_init(&b, SESSION_REPLY_MAX);
	sasl_offer(mechanisms, &b);
	rest = buffer_slice(&b);
	session_say(s, SLICE("+OK\r\n"));
	while ((word = slice_word(&rest)).len > 0) {
		session_say(s, word);
		session_say(s, SLICE("\r\n"));
	}
	session_say(s, SLICE(".\r\n"));
	buffer_free(&b);
}

void verb_auth(struct session *s, const struct pop3_command *c)
{
	unsigned mechanisms = login_mechanisms(s);
	struct slice rest = c->text, name = slice_word(&rest), text = slice_word(&rest);
	enum sasl_mechanism mechanism = sasl_named(name);
	if (!s->secured)
		session_err(s, NULL, "begin TLS first (STLS)");
	else if (name.len == 0)
		list_mechanisms(s, mechanisms);
	else if (!(mechanism & mechanisms))
		session_err(s, NULL, "this mechanism is not offered");
	else
		begin_sasl(s, mechanism, text.len > 0, text);
}

void verb_user(struct session *s, const struct pop3_command *c)
{
	if (!s->secured) {
		session_err(s, NULL, "begin TLS first (STLS)"); /* RFC 2595 4 */
		return;
	}
	if (!login_by_password(s)) {
		session_err(s, NULL, "passwords are not taken, use AUTH");
		return;
	}
	login_forget(s);
	if (c->text.len > LOGIN_USER_MAX) {
		session_err(s, NULL, "the name is too long");
		return;
	}
	s->name = memory_string(c->text);
	session_ok(s, "now the password");
}

/* Names and passwords are UTF-8 (RFC 6856 2.2), UTF8 said or not. */
void verb_pass(struct session *s, const struct pop3_command *c)
{
	if (!s->secured) {
		session_err(s, NULL, "begin TLS first (STLS)");
	} else if (!s->name) {
		session_err(s, NULL, "USER first");
	} else if (c->text.len > LOGIN_PASSWORD_MAX || !utf8_valid(c->text) ||
		   !utf8_valid(slice_str(s->name))) {
		s->mechanism = "USER";
		session_log_login_failed(s, "malformed", SLICE("no UTF-8, or too long"),
					 slice_str(s->name));
		login_forget(s);
		session_err(s, "AUTH", "wrong user or password");
	} else {
		s->mechanism = "USER";
		check_password(s, slice_str(s->name), c->text);
	}
}
