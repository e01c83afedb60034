/*
 * A session: from the accepted connection to its end. A verb that must wait (for a verdict, for the
 * disk) pauses the stream, and what the client has pipelined waits with it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "common/os/loop.h"
#include "daemons/smtpd/smtpd.h"

enum {
	SESSION_INPUT_MAX = 64 * 1024,
	USER_TEXT_SIZE = 16,   /* "uid=4294967295" */
	COMMANDS_A_TURN = 100, /* of one session, before the others' turn */
};

static TAILQ_HEAD(, session) closing = TAILQ_HEAD_INITIALIZER(closing);
static struct loop_turn closer;

static void session_input(struct stream *stream);
static void session_ended(struct stream *stream, enum stream_end reason);
static void session_drained(struct stream *stream);
static void session_secured(struct stream *stream);

static const struct stream_kind session_kind = {
    .input_limit = SESSION_INPUT_MAX,
    .output_limit = SESSION_OUTPUT_MAX,
    .input = session_input,
    .end = session_ended,
    .drained = session_drained,
    .secured = session_secured,
};

struct session *session_open(int fd, struct listener *l, const struct listener_kind *kind,
			     struct client *c, const char *address)
{
	struct session *s = memory_zero(1, sizeof(*s));

	s->listener = l;
	s->kind = kind;
	s->local = kind->local;
	s->phase = PHASE_GREETING;
	s->client = c;
	s->refused = true;
	s->after = "CONNECT";
	slice_copy(slice_str(address), s->address, sizeof(s->address));
	line_reader_init(&s->lines, LINE_COMMAND_MAX);
	s->stream = stream_open(fd, &session_kind, s);
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	return s;
}

void session_set_user(struct session *s, uint32_t uid)
{
	char user[USER_TEXT_SIZE];
	int len = snprintf(user, sizeof(user), "uid=%u", uid);

	s->uid = uid;
	s->user = memory_string(slice_make(user, (size_t)len));
}

bool session_trusted(struct session *s)
{
	struct net_address a;

	if (s->judged_by != smtpd_settings()->number) {
		s->judged_by = smtpd_settings()->number;
		s->in_trust =
		    s->local || (net_ip_parse(slice_str(s->address), &a) && smtpd_trusts(&a));
	}
	s->trusted = s->kind->login ? s->mechanism != NULL : s->in_trust;
	return s->trusted;
}

bool session_idle(const struct session *s)
{
	if (s->phase == PHASE_LOGIN)
		return !login_waits(s);
	return s->phase == PHASE_COMMAND && s->transaction == NULL && s->verdict == 0;
}

void session_reset(struct session *s)
{
	transaction_free(&s->transaction);
	s->chunks = CHUNKS_NONE;
}

static void session_free(struct session *s)
{
	session_log_end(s, s->how);
	verdict_cancel(s);
	names_cancel(s);
	usage_cancel(s);
	login_end(s);
	if (s->closing)
		TAILQ_REMOVE(&closing, s, closing_link);
	/* A commit under way goes on without us; its done() frees the transaction. */
	if (s->phase == PHASE_COMMIT)
		s->transaction->session = NULL;
	else
		transaction_free(&s->transaction);
	server_forget(s);
	memory_free(s->helo);
	memory_free(s->name);
	memory_free(s->user);
	memory_free(s);
}

/* A client that has said QUIT sends nothing more (RFC 5321 4.1.1.10), so its connection can close
 * with our reply; for one that did the peer's end is waited for, like for all others. */
static void session_part(struct session *s)
{
	struct stream *stream = s->stream;
	bool last_word = s->quits && stream_input(stream).len == 0;

	session_free(s);
	if (last_word)
		stream_part(&stream);
	else
		stream_finish(&stream);
}

/* At the turn's end, before the streams send: the last reply and the end are one segment. */
static void close_them(void *arg)
{
	(void)arg;
	if (TAILQ_EMPTY(&closing))
		return;
	while (!TAILQ_EMPTY(&closing))
		session_part(TAILQ_FIRST(&closing));
	server_check_drained_later();
}

void sessions_start(void)
{
	loop_turn_add(&closer, close_them, NULL);
}

void session_close(struct session *s, const char *how)
{
	if (s->how == NULL)
		s->how = how;
	if (s->closing)
		return;
	s->closing = true;
	stream_pause(s->stream);
	TAILQ_INSERT_TAIL(&closing, s, closing_link);
}

static const char *fault_of(const struct stream *stream, enum stream_end reason)
{
	const char *fault = stream_fault(stream);

	return *fault ? fault : stream_end_name(reason);
}

static void session_ended(struct stream *stream, enum stream_end reason)
{
	struct session *s = stream_owner(stream);

	if (s->how == NULL)
		s->how = stream_end_name(reason);
	if (s->phase == PHASE_SECURING && s->begun) {
		session_log_unsecured(s, fault_of(stream, reason));
	} else if (reason == STREAM_LATE || reason == STREAM_SLOW) {
		s->refused = true; /* no verb of the client's is to blame */
		session_reply(s, 421, "4.4.2", "%s timeout, closing the connection",
			      smtpd_settings()->hostname);
		return;
	}
	session_free(s);
	stream_free(&stream);
	server_check_drained();
}

/* What was to be said before TLS begins has left. */
static void session_drained(struct stream *stream)
{
	struct session *s = stream_owner(stream);

	if (s->phase == PHASE_SECURING && !s->begun)
		handshake_begin(s);
}

static void session_secured(struct stream *stream)
{
	handshake_done(stream_owner(stream));
}

static void say_line(struct session *s, unsigned code, const char *enhanced, struct slice text)
{
	char line[REPLY_LINE_MAX];
	size_t len = reply_line(line, code, enhanced, text);

	stream_send(s->stream, slice_make(line, len));
}

void session_say(struct session *s, unsigned code, const char *enhanced, struct slice text)
{
	char last[REPLY_LINE_MAX];

	say_line(s, code, enhanced, text);
	if (code >= 400 && !s->refused) {
		s->refused = true;
		s->counts[s->verb].refused++;
	}
	if (code >= 500 && !s->local && ++s->errors > smtpd_settings()->limits.errors) {
		session_log_refusal(s, "session", 421, "4.7.0", SLICE("too many errors"),
				    SLICE_EMPTY);
		snprintf(last, sizeof(last), "%s too many errors, closing the connection",
			 smtpd_settings()->hostname);
		say_line(s, 421, "4.7.0", slice_str(last));
		session_close(s, "errors");
	}
	if (code == 421)
		session_close(s, "refused");
}

void session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
{
	char text[REPLY_LINE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	session_say(s, code, enhanced, slice_str(text));
}

void session_refuse(struct session *s, const struct refusal *why)
{
	session_say(s, why->code, why->enhanced, slice_str(why->text));
}

static void greeted(struct session *s, const struct router_verdict *v)
{
	if (v->action == VERDICT_REPLY) {
		session_log_refusal(s, "connect", v->code, "", v->text, SLICE_EMPTY);
		session_reply(s, v->code, NULL, "%.*s", SLICE_FMT(v->text));
		session_close(s, "refused");
		return;
	}
	/* RFC 5321 3.1: the client waits for our greeting. One that does not is no mail server; but
	 * a program of this machine may have a script that was written to `sendmail -bs`. */
	if (!s->local && stream_spoke(s->stream)) {
		session_log_refusal(s, "connect", 554, "5.5.0", SLICE("spoke before the greeting"),
				    SLICE_EMPTY);
		session_reply(s, 554, "5.5.0", "%s you spoke before the greeting",
			      smtpd_settings()->hostname);
		session_close(s, "refused");
		return;
	}
	s->phase = PHASE_COMMAND;
	session_reply(s, 220, NULL, "%s ESMTP Stagepost", smtpd_settings()->hostname);
	session_resume(s);
}

void session_greet(struct session *s)
{
	stream_pause(s->stream);
	verdict_ask(s, STEP_CONNECT, SLICE_EMPTY, greeted);
}

void session_resume(struct session *s)
{
	if (!s->closing)
		stream_resume(s->stream);
}

/* Who sends a thousand commands at once, as for a long list, does not hold up the others. */
static void session_input(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	unsigned commands = 0;

	while (stream_ready(stream) && stream_input(stream).len > 0) {
		if (s->phase == PHASE_DATA)
			receive_data_input(s);
		else if (s->phase == PHASE_CHUNK)
			verb_bdat_input(s);
		else if (s->phase == PHASE_SECURING)
			stream_consume(stream, stream_input(stream).len);
		else if (!command_take(s))
			break;
		else if (++commands == COMMANDS_A_TURN)
			stream_yield(stream);
	}
	if (s->phase == PHASE_SECURING && !s->begun && !s->closing)
		handshake_begin(s);
}
