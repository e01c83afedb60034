/*
 * A connection: octets become replies, each of which is to the command at the front of the ring. A
 * reply that nobody expects, or of the wrong kind, is the end: behind it nothing can be matched any
 * more (S50). A session that has ended stays in memory until the turn's end, because its end comes
 * from deep inside its own calls.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

enum { EXPECTED_FIRST_SIZE = 16, LINE_SIZE = 2048, FILES_KEPT = 100 };

static struct session_list idle_sessions = TAILQ_HEAD_INITIALIZER(idle_sessions);
static struct session_list dead_sessions = TAILQ_HEAD_INITIALIZER(dead_sessions);
static struct loop_turn turn;
static size_t count, most = SESSIONS_MAX;
static bool was_full;

bool sessions_room(void)
{
	if (count >= most && !TAILQ_EMPTY(&idle_sessions))
		session_quit(TAILQ_FIRST(&idle_sessions));
	was_full = count >= most;
	return !was_full;
}

/* Replies that are due */

void session_expect(struct session *s, enum expected_kind kind, struct job *j, uint32_t recipient)
{
	if (s->expected_count == s->expected_size) {
		size_t size = s->expected_size ? 2 * s->expected_size : EXPECTED_FIRST_SIZE;
		struct expected *ring = memory_zero(size, sizeof(ring[0]));
		for (size_t i = 0; i < s->expected_count; i++)
			ring[i] = s->expected[(s->expected_first + i) % s->expected_size];
		memory_free(s->expected);
		s->expected = ring;
		s->expected_first = 0;
		s->expected_size = size;
	}
	s->expected[(s->expected_first + s->expected_count) % s->expected_size] =
	    (struct expected){kind, recipient, j, s->sent};
	s->expected_count++;
	if (j)
		j->outstanding++;
}

static struct expected expected_take(struct session *s)
{
	struct expected e = s->expected[s->expected_first];
	s->expected_first = (s->expected_first + 1) % s->expected_size;
	s->expected_count--;
	return e;
}

void session_clock(struct session *s)
{
	const struct settings_timeouts *t = smtp_timeouts();
	const uint64_t timeouts[EXPECT_KINDS] = {
	    [EXPECT_GREETING] = t->greeting, [EXPECT_EHLO] = t->hello,	   [EXPECT_HELO] = t->hello,
	    [EXPECT_STARTTLS] = t->starttls, [EXPECT_RSET] = t->reset,	   [EXPECT_MAIL] = t->mail,
	    [EXPECT_RCPT] = t->rcpt,	     [EXPECT_DATA] = t->data,	   [EXPECT_DOT] = t->dot,
	    [EXPECT_CHUNK] = t->block,	     [EXPECT_EMPTY_DOT] = t->data,
	};
	if (!s->stream)
		return;
	if (s->expected_count > 0)
		stream_deadline(s->stream, timeouts[s->expected[s->expected_first].kind]);
	else
		stream_deadline(s->stream, s->idle ? 0 : t->block);
}

/* Output */

bool session_send(struct session *s, struct slice octets)
{
	s->sent += octets.len;
	return stream_send(s->stream, octets);
}

bool session_pass(struct session *s, struct slice octets)
{
	s->sent += octets.len;
	return stream_pass(s->stream, octets);
}

bool session_say(struct session *s, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof(line) - 2, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) - 2)
		panic("smtp: a command of %d octets", n);
	memcpy(line + n, "\r\n", 2);
	return session_send(s, slice_make(line, (size_t)n + 2));
}

/* The end */

static void idle_stop(struct session *s)
{
	if (!s->idle)
		return;
	s->idle = false;
	loop_timer_stop(&s->idle_timer);
	TAILQ_REMOVE(&idle_sessions, s, idle_link);
}

/* Out of everything; what it had under way has been seen to. */
static void session_end(struct session *s)
{
	struct destination *d = s->destination;
	if (s->dead)
		return;
	s->dead = true;
	idle_stop(s);
	connector_free(&s->connector);
	TAILQ_REMOVE(&d->sessions, s, link);
	d->session_count--;
	if (s->phase == PHASE_READY)
		d->ready_count--;
	destination_touch(d);
	TAILQ_INSERT_TAIL(&dead_sessions, s, dead_link);
	if (was_full)
		destinations_touch_waiting();
}

void session_drop(struct session *s)
{
	session_end(s);
	stream_free(&s->stream);
}

void session_quit(struct session *s)
{
	session_end(s);
	if (!s->stream)
		return;
	stream_send(s->stream, SLICE("QUIT\r\n"));
	stream_flush(s->stream);
	stream_finish(&s->stream);
}

static void on_turn_end(void *arg)
{
	struct session *s;
	(void)arg;
	while ((s = TAILQ_FIRST(&dead_sessions))) {
		TAILQ_REMOVE(&dead_sessions, s, dead_link);
		stream_free(&s->stream);
		memory_free(s->expected);
		memory_free(s);
		count--;
	}
}

void session_unfit(struct session *s, const struct reason *why)
{
	struct job *j = s->opener;
	s->opener = NULL;
	j->session = NULL;
	walk_tried(j, &s->host.address);
	job_note(j, why);
	session_end(s);
	walk_next(j);
}

void session_lost(struct session *s, const char *what)
{
	static const char *const phases[] = {"",
					     "waiting for its greeting",
					     "saying EHLO",
					     "saying HELO",
					     "saying STARTTLS",
					     "starting TLS"};
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	struct job *j;
	if (s->dead)
		return;
	if (s->phase != PHASE_READY) {
		reason_own(&why, 451, "4.4.2", true, text, "%s while %s: %s", what,
			   phases[s->phase], s->relay);
		session_unfit(s, &why);
		return;
	}
	session_end(s);
	while ((j = TAILQ_FIRST(&s->jobs)))
		transaction_lost(s, j, what);
}

/* Many a server ends a session that was used for long at RSET or MAIL: no job is the worse. */
static bool is_used_up(const struct session *s, enum expected_kind kind)
{
	return s->transactions > 1 && (kind == EXPECT_RSET || kind == EXPECT_MAIL);
}

void session_closed_by(struct session *s, enum expected_kind kind, struct job *asker,
		       const struct answer *a)
{
	struct reason why;
	struct job *j;
	reason_answer(&why, s, a);
	why.site = true;
	session_end(s);
	while ((j = TAILQ_FIRST(&s->jobs))) {
		if (j == asker && !is_used_up(s, kind)) {
			transaction_refused(s, j, &why);
		} else if (asker) {
			transaction_unharmed(s, j);
		} else {
			transaction_lost(s, j, "the server has ended the session");
		}
	}
}

/* Input */

/* A yes to what has not left us answers something else, and so does all that follows. A no may
 * come in the middle of the content, and the server may end the session at any time. */
static bool is_premature(const struct session *s, const struct expected *e)
{
	if (s->answer.code == 421 || (e->kind == EXPECT_DOT && s->answer.code >= 400))
		return false;
	return s->sent - stream_unsent(s->stream) < e->sent;
}

static void reply(struct session *s)
{
	struct job *first = TAILQ_FIRST(&s->jobs);
	if (s->expected_count == 0) {
		if (first && first->step == STEP_CONTENT)
			transaction_early_reply(s, first);
		else if (s->answer.code == 421)
			session_closed_by(s, EXPECT_KINDS, NULL, &s->answer);
		else
			session_lost(s, "replies are out of step");
		return;
	}
	struct expected e = expected_take(s);
	if (is_premature(s, &e)) {
		session_lost(s, "replies are out of step");
	} else if (s->phase != PHASE_READY) {
		hello_reply(s, e.kind);
	} else if (s->answer.code == 421) {
		session_closed_by(s, e.kind, e.job, &s->answer);
	} else {
		transaction_reply(s, &e);
		if (!s->dead)
			transaction_pump(s);
	}
	if (!s->dead)
		session_clock(s);
}

static void on_input(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	struct slice line;
	size_t used;
	while (!s->dead && stream_ready(s->stream)) {
		enum answer_result result =
		    answer_read(&s->answer, stream_input(s->stream), &line, &used);
		if (result == ANSWER_MORE)
			return;
		if (result == ANSWER_BROKEN) {
			session_lost(s, "what it says is no SMTP");
			return;
		}
		if (s->phase == PHASE_EHLO || s->phase == PHASE_HELO)
			hello_line(s, line);
		stream_consume(s->stream, used);
		if (result == ANSWER_COMPLETE)
			reply(s);
	}
}

static void on_end(struct stream *stream, enum stream_end reason)
{
	static const char *const whats[] = {
	    [STREAM_CLOSED] = "lost connection", [STREAM_BROKEN] = "lost connection",
	    [STREAM_LATE] = "timed out",	 [STREAM_SLOW] = "timed out",
	    [STREAM_FULL] = "too much unsent",	 [STREAM_UNSAFE] = "no TLS",
	};
	struct session *s = stream_owner(stream);
	if (s->dead)
		return;
	if (s->phase == PHASE_HANDSHAKE)
		hello_unsafe(s);
	else
		session_lost(s, whats[reason]);
}

static void on_drained(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	struct job *j;
	if (s->dead)
		return;
	session_clock(s);
	TAILQ_FOREACH (j, &s->jobs, link)
		if (j->step == STEP_CONTENT) {
			body_more(s, j);
			return;
		}
}

static void on_secured(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	if (!s->dead)
		hello_secured(s);
}

static const struct stream_kind kind = {
    .input_limit = 4 * ANSWER_LINE_MAX,
    .output_limit = SESSION_OUTPUT_MAX,
    .input = on_input,
    .end = on_end,
    .drained = on_drained,
    .secured = on_secured,
};

/* The beginning */

static void on_connected(void *arg, int fd, int error)
{
	struct session *s = arg;
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	s->connector = NULL;
	if (fd < 0) {
		reason_own(&why, 451, "4.4.1", true, text, "connect to %s: %s", s->relay,
			   strerror(error));
		session_unfit(s, &why);
		return;
	}
	s->stream = stream_open(fd, &kind, s);
	hello_begin(s);
	session_clock(s);
}

static void write_relay(struct session *s)
{
	char address[NET_IP_TEXT];
	net_ip_format(&s->host.address, address);
	snprintf(s->relay, sizeof(s->relay), "%s[%s]:%u", s->host.name, address,
		 s->host.address.port);
}

void session_open(struct job *j, const struct host *h)
{
	struct session *s = memory_zero(1, sizeof(*s));
	struct destination *d = j->destination;
	s->destination = d;
	s->host = *h;
	s->phase = PHASE_CONNECT;
	s->opener = j;
	s->opened_at = loop_now();
	TAILQ_INIT(&s->jobs);
	write_relay(s);
	j->session = s;
	TAILQ_INSERT_TAIL(&d->sessions, s, link);
	d->session_count++;
	count++;
	s->connector = connector_open(&h->address, smtp_timeouts()->connect, on_connected, s);
}

void session_ready(struct session *s)
{
	struct job *j = s->opener;
	s->opener = NULL;
	s->phase = PHASE_READY;
	s->destination->ready_count++;
	j->session = NULL;
	walk_found(j);
	destination_touch(s->destination);
	transaction_start(s, j);
}

static void on_idle(void *arg)
{
	session_quit(arg);
}

void session_rest(struct session *s)
{
	uint64_t now = loop_now();
	if (now - s->opened_at > SESSION_LIFE) {
		session_quit(s);
		return;
	}
	if (s->idle)
		return;
	s->idle = true;
	s->idle_since = now;
	TAILQ_INSERT_TAIL(&idle_sessions, s, idle_link);
	loop_timer_start(&s->idle_timer, SESSION_IDLE, on_idle, s);
	destination_touch(s->destination);
}

void session_work(struct session *s)
{
	idle_stop(s);
}

/* Two descriptors for each session and job: its connection, its file. */
void sessions_start(void)
{
	struct rlimit files;
	loop_turn_add(&turn, on_turn_end, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * SESSIONS_MAX)
		most = files.rlim_cur > 2 * FILES_KEPT ? (files.rlim_cur - FILES_KEPT) / 2
						       : FILES_KEPT / 2;
}
