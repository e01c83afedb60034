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
    [VERB_DATA] = {verb_data, false, true},  [VERB_BDAT] = {verb_bdat, false, false},
    [VERB_RSET] = {verb_rset, true, false},  [VERB_NOOP] = {verb_noop, true, true},
    [VERB_VRFY] = {verb_vrfy, true, true},   [VERB_HELP] = {verb_help, true, false},
    [VERB_QUIT] = {verb_quit, false, false},
};

static TAILQ_HEAD(, session) closing = TAILQ_HEAD_INITIALIZER(closing);
static struct loop_turn closer;

static void session_input(struct stream *stream);
static void session_ended(struct stream *stream, enum stream_end reason);

static const struct stream_kind session_kind = {
    .input_limit = SESSION_INPUT_MAX,
    .output_limit = SESSION_OUTPUT_MAX,
    .input = session_input,
    .end = session_ended,
};

struct session *session_open(int fd, struct listener *l, struct client *c, const char *address)
{
	struct session *s = memory_zero(1, sizeof(*s));

	s->listener = l;
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
	s->local = true;
	s->uid = uid;
	snprintf(s->user, sizeof(s->user), "uid=%u", uid);
}

bool session_trusted(struct session *s)
{
	struct net_address a;

	if (s->judged_by != smtpd_settings()->number) {
		s->judged_by = smtpd_settings()->number;
		s->trusted =
		    s->local || (net_ip_parse(slice_str(s->address), &a) && smtpd_trusts(&a));
	}
	return s->trusted;
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

static void session_ended(struct stream *stream, enum stream_end reason)
{
	struct session *s = stream_owner(stream);

	if (s->how == NULL)
		s->how = stream_end_name(reason);
	if (reason == STREAM_LATE || reason == STREAM_SLOW) {
		s->refused = true; /* no verb of the client's is to blame */
		session_reply(s, 421, "4.4.2", "%s timeout, closing the connection",
			      smtpd_settings()->hostname);
		return;
	}
	session_free(s);
	stream_free(&stream);
	server_check_drained();
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

/* Did the client send on before it could know the reply to a command that ends a group? */
static bool pipelines_wrongly(struct session *s, const struct verb_row *row, size_t used)
{
	bool more = stream_input(s->stream).len > used;

	/* RFC 2920 3.1; a client that said HELO was not told of PIPELINING at all (S11). */
	return more && !s->local && (row->last || (s->helo != NULL && !s->esmtp));
}

/* Counts for the log; from here on replies are to this verb. */
static void verb_begins(struct session *s, enum verb verb)
{
	s->verb = verb;
	s->refused = false;
	s->counts[verb].all++;
	s->after = verb_name(verb);
}

/* Browsers that were led here by a page. */
static bool is_web(struct slice word)
{
	return slice_equal_fold(word, SLICE("GET")) || slice_equal_fold(word, SLICE("POST")) ||
	       slice_equal_fold(word, SLICE("CONNECT"));
}

static void run_unknown(struct session *s, struct slice word)
{
	if (is_web(word)) {
		session_reply(s, 554, "5.5.1", "This is no web server");
		session_close(s, "refused");
		return;
	}
	session_reply(s, 500, "5.5.2", "Command not known");
}

static void run_verb(struct session *s, const struct command *command, size_t used)
{
	const struct verb_row *row = &verbs[command->verb];

	if (pipelines_wrongly(s, row, used)) {
		session_log_refusal(s, verb_name(command->verb), 554, "5.5.0",
				    SLICE("improper pipelining"), SLICE_EMPTY);
		session_reply(s, 554, "5.5.0", "Improper command pipelining");
		session_close(s, "refused");
	} else if (row->junk && ++s->junk > COMMAND_JUNK_MAX) {
		s->how = "errors";
		session_reply(s, 421, "4.7.0", "%s too many commands without mail",
			      smtpd_settings()->hostname);
	} else if (server_draining() && s->transaction == NULL && command->verb != VERB_QUIT) {
		s->how = "stopped";
		session_reply(s, 421, "4.3.2", "%s is shutting down", smtpd_settings()->hostname);
	} else
		row->run(s, command->argument);
}

/* A line that is no command. One that begins as BDAT does may have a chunk behind it, and nobody
 * knows how long it is: as for any BDAT that can't be read, the connection ends (S5). */
static void refuse_line(struct session *s, struct slice line, const struct refusal *why)
{
	static const struct refusal lost = {521, "5.5.4", "Bad BDAT line; closing the connection"};

	if (!slice_starts_fold(line, slice_str(verb_name(VERB_BDAT)))) {
		verb_begins(s, VERB_UNKNOWN);
		session_refuse(s, why);
		return;
	}
	verb_begins(s, VERB_BDAT);
	session_log_refusal(s, "BDAT", lost.code, lost.enhanced, slice_str(why->text), SLICE_EMPTY);
	session_refuse(s, &lost);
	session_close(s, "refused");
}

static void run_command(struct session *s, struct slice text, size_t used)
{
	struct command command;
	struct refusal why;

	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	if (!command_parse(text, &command, &why)) {
		refuse_line(s, text, &why);
		return;
	}
	verb_begins(s, command.verb);
	if (verbs[command.verb].run == NULL)
		run_unknown(s, command.word);
	else
		run_verb(s, &command, used);
}

/* One line off the input; false: more octets are needed. */
static bool take_command(struct session *s)
{
	static const struct refusal too_long = {500, "5.5.2", "Line too long"};
	static const struct refusal bare = {550, "5.5.2", "A bare LF or CR ends no line"};
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
		refuse_line(s, line, &too_long);
		break;
	case LINE_BARE_LF:
	case LINE_BARE_CR:
		refuse_line(s, line, &bare);
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
			receive_data_input(s);
		else if (s->phase == PHASE_CHUNK)
			verb_bdat_input(s);
		else if (!take_command(s))
			break;
	}
}
