/*
 * A session: from the accepted connection to its end. Octets become lines, lines become verbs; a
 * verb that must wait (for accounts, for the maildrop, for a client that reads slowly) pauses the
 * stream, and what the client has pipelined waits with it (RFC 2449 6.6).
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

enum {
	IN_AUTHORIZATION = 1 << 0,
	IN_TRANSACTION = 1 << 1,
	IN_BOTH = IN_AUTHORIZATION | IN_TRANSACTION,
};

static const struct {
	void (*run)(struct session *s, const struct pop3_command *c);
	unsigned in;
} verbs[POP3_VERBS] = {
    [POP3_CAPA] = {verb_capa, IN_BOTH},		 /* RFC 2449 5 */
    [POP3_STLS] = {verb_stls, IN_AUTHORIZATION}, /* RFC 2595 4 */
    [POP3_UTF8] = {verb_utf8, IN_AUTHORIZATION}, /* RFC 6856 2.1 */
    [POP3_USER] = {verb_user, IN_AUTHORIZATION}, [POP3_PASS] = {verb_pass, IN_AUTHORIZATION},
    [POP3_AUTH] = {verb_auth, IN_AUTHORIZATION}, /* RFC 5034 4 */
    [POP3_STAT] = {verb_stat, IN_TRANSACTION},	 [POP3_LIST] = {verb_list, IN_TRANSACTION},
    [POP3_UIDL] = {verb_list, IN_TRANSACTION},	 [POP3_RETR] = {verb_retr, IN_TRANSACTION},
    [POP3_TOP] = {verb_retr, IN_TRANSACTION},	 [POP3_DELE] = {verb_dele, IN_TRANSACTION},
    [POP3_RSET] = {verb_rset, IN_TRANSACTION},	 [POP3_NOOP] = {verb_noop, IN_TRANSACTION},
    [POP3_QUIT] = {verb_quit, IN_BOTH},
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

/* Life */

struct session *session_open(int fd, struct listener *l, struct client *c, const char *address)
{
	struct session *s = memory_zero(1, sizeof(*s));
	s->listener = l;
	s->client = c;
	s->after = "CONNECT";
	slice_copy(slice_str(address), s->address, sizeof(s->address));
	line_reader_init(&s->lines, SESSION_LINE_MAX);
	s->stream = stream_open(fd, &session_kind, s);
	server_remember(s);
	return s;
}

static uint64_t idle(const struct session *s)
{
	uint64_t us = pop3d_settings()->limits.idle;
	return s->user && us < SESSION_IDLE_LEAST_US ? SESSION_IDLE_LEAST_US : us;
}

/* A client has no longer for a handshake than for a command. */
static uint64_t handshake_patience(void)
{
	uint64_t us = pop3d_settings()->limits.idle;
	return us < SESSION_HANDSHAKE_US ? us : SESSION_HANDSHAKE_US;
}

static void greet(struct session *s)
{
	s->phase = PHASE_AUTHORIZATION;
	stream_deadline(s->stream, idle(s));
	session_ok(s, "%s Stagepost POP3 ready", pop3d_settings()->hostname);
}

void session_begin(struct session *s, bool tls)
{
	if (!tls) {
		greet(s);
		return;
	}
	s->phase = PHASE_TLS;
	stream_deadline(s->stream, handshake_patience());
	if (!secure_ready() || !secure_start(s->stream)) {
		session_log_unsecured(s, "there is no certificate that can be used");
		session_cut(s, "unsafe");
	}
}

static void session_secured(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	bool implicit = s->commands == 0;
	s->secured = true;
	session_log_secured(s);
	if (implicit) {
		greet(s);
		return;
	}
	s->phase = PHASE_AUTHORIZATION; /* RFC 2595 4: the client asks for everything anew */
	stream_deadline(stream, idle(s));
}

static void session_free(struct session *s)
{
	session_log_end(s);
	loop_timer_stop(&s->timer);
	login_forget(s);
	box_free(&s->box);
	if (s->closing)
		TAILQ_REMOVE(&closing, s, closing_link);
	server_forget(s);
	memory_free(s->user);
	memory_free(s);
}

/* At the turn's end, before the streams send: the last reply and the end are one segment. */
static void close_them(void *arg)
{
	struct session *s;
	(void)arg;
	while ((s = TAILQ_FIRST(&closing))) {
		struct stream *stream = s->stream;
		bool cut = s->cut, last_word = s->quits && stream_input(stream).len == 0;
		session_free(s);
		if (cut)
			stream_free(&stream);
		else if (last_word)
			stream_part(&stream);
		else
			stream_finish(&stream);
	}
}

void sessions_start(void)
{
	loop_turn_add(&closer, close_them, NULL);
}

void session_close(struct session *s, const char *how)
{
	if (!s->how)
		s->how = how;
	if (s->closing)
		return;
	s->closing = true;
	loop_timer_stop(&s->timer);
	stream_pause(s->stream);
	TAILQ_INSERT_TAIL(&closing, s, closing_link);
}

/* Its memory goes at the turn's end: whoever called has it in hands. */
void session_cut(struct session *s, const char *how)
{
	session_close(s, how);
	s->cut = true;
}

static void session_ended(struct stream *stream, enum stream_end reason)
{
	struct session *s = stream_owner(stream);
	if (reason == STREAM_UNSAFE)
		session_log_unsecured(s, stream_fault(stream));
	if (!s->how)
		s->how = stream_end_name(reason);
	session_free(s);
	stream_free(&stream);
}

static void too_long(void *arg)
{
	struct session *s = arg;
	switch (s->phase) {
	case PHASE_OPENING:
		session_err(s, "SYS/TEMP", "the maildrop takes too long to open");
		session_close(s, "maildrop");
		break;
	case PHASE_UPDATE:
		box_update_failed(s, "it takes too long, some messages may stay");
		break;
	default:
		session_cut(s, "late");
	}
}

void session_wait(struct session *s, enum phase phase, uint64_t us)
{
	s->phase = phase;
	stream_pause(s->stream);
	loop_timer_stop(&s->timer);
	if (us > 0 && !s->closing)
		loop_timer_start(&s->timer, us, too_long, s);
}

void session_resume(struct session *s, enum phase phase)
{
	s->phase = phase;
	loop_timer_stop(&s->timer);
	if (s->closing)
		return;
	stream_deadline(s->stream, idle(s));
	stream_resume(s->stream);
}

static void session_drained(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	if (s->phase == PHASE_SENDING && !s->closing)
		send_more(s);
}

/* Replies */

void session_say(struct session *s, struct slice octets)
{
	stream_send(s->stream, octets);
}

/* One line; what a user or a file has chosen never begins another. */
static void say_line(struct session *s, const char *begin, const char *text)
{
	char line[SESSION_REPLY_MAX];
	int len = snprintf(line, sizeof(line) - 2, "%s%s", begin, text);
	if (len > (int)sizeof(line) - 3)
		len = sizeof(line) - 3;
	for (int i = 0; i < len; i++)
		if (line[i] < 32 || line[i] > 126)
			line[i] = '?';
	memcpy(line + len, "\r\n", 2);
	session_say(s, slice_make(line, (size_t)len + 2));
}

void session_ok(struct session *s, const char *format, ...)
{
	char text[SESSION_REPLY_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	say_line(s, "+OK ", text);
}

void session_err(struct session *s, const char *code, const char *format, ...)
{
	char begin[32] = "-ERR ", text[SESSION_REPLY_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (code)
		snprintf(begin, sizeof(begin), "-ERR [%s] ", code);
	say_line(s, begin, text);
	if (++s->errors > pop3d_settings()->limits.errors)
		session_close(s, "errors");
}

/* Commands */

static void run(struct session *s, const struct pop3_command *c)
{
	unsigned in = s->user ? IN_TRANSACTION : IN_AUTHORIZATION;
	if (!verbs[c->verb].run)
		session_err(s, NULL, "command not known");
	else if (!(verbs[c->verb].in & in))
		session_err(s, NULL, s->user ? "only before the login" : "log in first");
	else
		verbs[c->verb].run(s, c);
}

static void run_command(struct session *s, struct slice line)
{
	struct pop3_command c;
	const char *why;
	bool fine = pop3_command_parse(line, &c, &why);
	s->commands++;
	s->after = pop3_verb_name(c.verb);
	if (fine)
		run(s, &c);
	else
		session_err(s, NULL, "%s", why);
}

static void run_line(struct session *s, struct slice line)
{
	if (s->phase == PHASE_SASL)
		login_line(s, line);
	else
		run_command(s, line);
}

/* One line off the input; false: more octets are needed. */
static bool take_line(struct session *s)
{
	struct slice line;
	size_t used = 0;
	bool secret = !s->user; /* a password, or meant as one: it lies in memory that others use */
	s->lines.limit = s->phase == PHASE_SASL ? SASL_LINE_MAX + 2 : SESSION_LINE_MAX;
	enum line_result found = line_next(&s->lines, stream_input(s->stream), &line, &used);
	if (found == LINE_COMPLETE) {
		stream_deadline(s->stream, idle(s));
		run_line(s, line);
	} else if (found != LINE_MORE && s->phase == PHASE_SASL) {
		login_line_bad(s);
	} else if (found == LINE_TOO_LONG) {
		session_err(s, NULL, "the line is too long");
	} else if (found != LINE_MORE) {
		session_err(s, NULL, "a bare LF or CR ends no line");
	}
	if (s->discard)
		used = stream_input(s->stream).len;
	if (secret && used > 0)
		stream_wipe(s->stream, used);
	else
		stream_consume(s->stream, used);
	return found != LINE_MORE || used > 0;
}

/* RFC 2595 4: nothing that was said before TLS counts after it (S8). */
static void begin_tls(struct session *s)
{
	s->discard = false;
	line_reader_init(&s->lines, SESSION_LINE_MAX);
	s->phase = PHASE_TLS;
	stream_deadline(s->stream, handshake_patience());
	stream_flush(s->stream);
	if (stream_unsent(s->stream) > 0 || !secure_start(s->stream)) {
		session_log_unsecured(s, "TLS can't be begun");
		session_cut(s, "unsafe");
	}
}

static void session_input(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	while (stream_ready(stream) && stream_input(stream).len > 0 && !s->closing)
		if (!take_line(s) || s->discard)
			break;
	if (s->discard && !s->closing)
		begin_tls(s);
}
