/*
 * A session: from the accepted connection to its end. Octets become lines, lines become verbs; a
 * verb that must wait (for a verdict, for the disk) pauses the stream, and what the client has
 * pipelined waits with it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "common/os/loop.h"
#include "daemons/smtpd/smtpd.h"

enum { SESSION_INPUT_MAX = 64 * 1024 };

struct verb_row {
	void (*run)(struct session *s, struct slice argument);
	bool junk; /* counts against COMMAND_JUNK_MAX while no mail comes */
	bool last; /* of a pipelined group (RFC 2920 3.1): nothing may follow before its reply */
};

static void verb_helo(struct session *s, struct slice argument)
{
	verb_hello(s, argument, false);
}

static void verb_ehlo(struct session *s, struct slice argument)
{
	verb_hello(s, argument, true);
}

static const struct verb_row verbs[VERB_COUNT] = {
    [VERB_HELO] = {verb_helo, true, true},   [VERB_EHLO] = {verb_ehlo, true, true},
    [VERB_MAIL] = {verb_mail, false, false}, [VERB_RCPT] = {verb_rcpt, false, false},
    [VERB_DATA] = {verb_data, false, true},  [VERB_RSET] = {verb_rset, true, false},
    [VERB_NOOP] = {verb_noop, true, true},   [VERB_VRFY] = {verb_vrfy, true, true},
    [VERB_HELP] = {verb_help, true, false},  [VERB_QUIT] = {verb_quit, false, false},
};

static TAILQ_HEAD(, session) closing = TAILQ_HEAD_INITIALIZER(closing);
static struct loop_timer closer;

static void session_input(struct stream *stream);
static void session_ended(struct stream *stream, enum stream_end reason);

static const struct stream_kind session_kind = {
    .input_limit = SESSION_INPUT_MAX,
    .output_limit = SESSION_OUTPUT_MAX,
    .input = session_input,
    .end = session_ended,
};

struct session *session_open(int fd, struct listener *l, struct client *c, const char *address,
			     bool trusted)
{
	struct session *s = memory_zero(1, sizeof(*s));
	struct log_line line;

	s->listener = l;
	s->client = c;
	s->trusted = trusted;
	slice_copy(slice_str(address), s->address, sizeof(s->address));
	line_reader_init(&s->lines, LINE_COMMAND_MAX);
	s->stream = stream_open(fd, &session_kind, s);
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	log_start(&line, LOG_LEVEL_DEBUG, 0, "connected");
	log_pair(&line, "client", slice_str(s->address));
	log_end(&line);
	return s;
}

static void session_free(struct session *s, const char *how)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, 0, "disconnected");
	log_pair(&line, "client", slice_str(s->address));
	log_pair(&line, "how", slice_str(how));
	log_number(&line, "commands", s->commands);
	log_number(&line, "messages", s->messages);
	log_end(&line);
	verdict_cancel(s);
	if (s->closing)
		TAILQ_REMOVE(&closing, s, closing_link);
	/* A commit under way goes on without us; its done() frees the transaction. */
	if (s->phase == PHASE_COMMIT)
		s->transaction->session = NULL;
	else
		transaction_free(&s->transaction);
	server_forget(s);
	memory_free(s->helo);
	memory_free(s);
}

static void close_them(void *arg)
{
	struct session *s;

	(void)arg;
	while ((s = TAILQ_FIRST(&closing)) != NULL) {
		struct stream *stream = s->stream;

		session_free(s, "closed");
		stream_finish(&stream);
	}
	server_check_drained();
}

void session_close(struct session *s)
{
	if (s->closing)
		return;
	s->closing = true;
	stream_pause(s->stream);
	TAILQ_INSERT_TAIL(&closing, s, closing_link);
	loop_timer_start(&closer, 0, close_them, NULL);
}

static void session_ended(struct stream *stream, enum stream_end reason)
{
	struct session *s = stream_owner(stream);

	if (reason == STREAM_LATE || reason == STREAM_SLOW) {
		session_reply(s, 421, "4.4.2", "%s timeout, closing the connection",
			      smtpd_settings()->hostname);
		return;
	}
	session_free(s, stream_end_name(reason));
	stream_free(&stream);
	server_check_drained();
}

static void session_say(struct session *s, struct buffer *reply)
{
	stream_send(s->stream, buffer_slice(reply));
	buffer_free(reply);
}

void session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
{
	struct buffer reply;
	char text[REPLY_LINE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buffer_init(&reply, 4 * REPLY_LINE_MAX);
	reply_write(&reply, code, enhanced, "%s", text);
	if (code >= 500 && ++s->errors > smtpd_settings()->limits.errors) {
		session_log_refusal(s, "session", 421, "4.7.0", SLICE("too many errors"),
				    SLICE_EMPTY);
		reply_write(&reply, 421, "4.7.0", "%s too many errors, closing the connection",
			    smtpd_settings()->hostname);
		session_close(s);
	}
	session_say(s, &reply);
	if (code == 421)
		session_close(s);
}

void session_refuse(struct session *s, const struct refusal *why)
{
	session_reply(s, why->code, why->enhanced, "%s", why->text);
}

void session_log_refusal(struct session *s, const char *step, unsigned code, const char *enhanced,
			 struct slice text, struct slice recipient)
{
	struct log_line line;
	struct transaction *t = s->transaction;

	log_start(&line, LOG_LEVEL_INFO, t ? t->id : 0, "refused");
	log_pair(&line, "step", slice_str(step));
	log_pair(&line, "client", slice_str(s->address));
	if (s->helo != NULL)
		log_pair(&line, "helo", slice_str(s->helo));
	if (t != NULL)
		log_pair(&line, "from", t->sender);
	if (recipient.len > 0)
		log_pair(&line, "to", recipient);
	log_text(&line, "reply", "%u %s %.*s", code, enhanced, SLICE_FMT(text));
	log_end(&line);
}

static void greeted(struct session *s, const struct router_verdict *v)
{
	if (v->action == VERDICT_REPLY) {
		session_log_refusal(s, "connect", v->code, "", v->text, SLICE_EMPTY);
		session_reply(s, v->code, NULL, "%.*s", SLICE_FMT(v->text));
		session_close(s);
		return;
	}
	/* RFC 5321 3.1: the client waits for our greeting. One that does not is no mail server. */
	if (stream_spoke(s->stream)) {
		session_log_refusal(s, "connect", 554, "5.5.0", SLICE("spoke before the greeting"),
				    SLICE_EMPTY);
		session_reply(s, 554, "5.5.0", "%s you spoke before the greeting",
			      smtpd_settings()->hostname);
		session_close(s);
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

/* Did the client send on before it could know the reply to a command that ends a group? */
static bool pipelines_wrongly(struct session *s, const struct verb_row *row, size_t used)
{
	bool more = stream_input(s->stream).len > used;

	/* RFC 2920 3.1; a client that said HELO was not told of PIPELINING at all (S11). */
	return more && (row->last || (s->helo != NULL && !s->esmtp));
}

static void run_command(struct session *s, struct slice text, size_t used)
{
	struct command command;
	struct refusal why;
	const struct verb_row *row;

	s->commands++;
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	if (!command_parse(text, &command, &why)) {
		session_refuse(s, &why);
		return;
	}
	row = &verbs[command.verb];
	if (row->run == NULL) {
		if (slice_equal_fold(command.word, SLICE("GET")) ||
		    slice_equal_fold(command.word, SLICE("POST")) ||
		    slice_equal_fold(command.word, SLICE("CONNECT"))) {
			session_reply(s, 554, "5.5.1", "This is no web server");
			session_close(s);
			return;
		}
		session_reply(s, 500, "5.5.2", "Command not known");
		return;
	}
	if (pipelines_wrongly(s, row, used)) {
		session_log_refusal(s, verb_name(command.verb), 554, "5.5.0",
				    SLICE("improper pipelining"), SLICE_EMPTY);
		session_reply(s, 554, "5.5.0", "Improper command pipelining");
		session_close(s);
		return;
	}
	if (row->junk && ++s->junk > COMMAND_JUNK_MAX) {
		session_reply(s, 421, "4.7.0", "%s too many commands without mail",
			      smtpd_settings()->hostname);
		return;
	}
	if (server_draining() && s->transaction == NULL && command.verb != VERB_QUIT) {
		session_reply(s, 421, "4.3.2", "%s is shutting down", smtpd_settings()->hostname);
		return;
	}
	row->run(s, command.argument);
}

/* One line off the input; false: more octets are needed. */
static bool take_command(struct session *s)
{
	struct slice line;
	size_t used = 0;

	switch (line_next(&s->lines, stream_input(s->stream), &line, &used)) {
	case LINE_MORE:
		stream_consume(s->stream, used);
		return used > 0;
	case LINE_COMPLETE:
		run_command(s, line, used);
		break;
	case LINE_TOO_LONG:
		s->commands++;
		session_reply(s, 500, "5.5.2", "Line too long");
		break;
	case LINE_BARE_LF:
	case LINE_BARE_CR:
		s->commands++;
		session_reply(s, 550, "5.5.2", "A bare LF or CR ends no line");
		break;
	}
	stream_consume(s->stream, used);
	return true;
}

static void session_input(struct stream *stream)
{
	struct session *s = stream_owner(stream);

	while (stream_ready(stream) && stream_input(stream).len > 0) {
		if (s->phase == PHASE_DATA)
			receive_input(s);
		else if (!take_command(s))
			break;
	}
}
