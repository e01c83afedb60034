/*
 * A plain client of SMTP (RFC 5321) with the timeouts of 4.5.3.2. It waits for each reply; the
 * server is on this machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/base/encode.h"
#include "common/net/named.h"
#include "common/os/clock.h"

enum {
	REPLY_MAX = 64 * 1024, /* octets of a reply of several lines */
	LINE_MAX_SENT = 1024,
	CHUNK = 64 * 1024,
	SHOWN_MAX = 300, /* of a refusal in an error */
	NAME_SHOWN = 100,
	CONNECT_SECONDS = 30,
};

#define SECONDS(n)   ((n)*CLOCK_SECOND)
#define MINUTES(n)   ((n)*60 * CLOCK_SECOND)
#define WAIT_COMMAND MINUTES(5)
#define WAIT_DATA    MINUTES(2)
#define WAIT_BLOCK   MINUTES(3)
#define WAIT_END     MINUTES(10)

struct session {
	int fd;
	struct buffer in;  /* received, not taken yet */
	unsigned code;	   /* of the last reply */
	struct slice text; /* of its last line, behind the code; into in */
	size_t reply_len;  /* octets of the last reply, to be taken before the next */
	bool eight_bit;	   /* the server offers 8BITMIME */
	bool utf8, dsn;	   /* the same of SMTPUTF8 and DSN */
	uint64_t size;	   /* it takes at most; 0: does not say */
	bool has_size;
	struct error *e;
};

static bool wait_for(struct session *s, short what, uint64_t end)
{
	struct pollfd p = {.fd = s->fd, .events = what};
	uint64_t now = clock_boot_us();
	int left = now < end ? (int)((end - now) / 1000) + 1 : 0;
	int n = (int)TEMP_FAILURE_RETRY(poll(&p, 1, left));
	if (n > 0)
		return true;
	return error_set(s->e, EX_TEMPFAIL, "the server does not answer");
}

static bool lost(struct session *s, const char *why)
{
	return error_set(s->e, EX_TEMPFAIL, "the connection to the server was lost: %s", why);
}

static bool write_all(struct session *s, struct slice octets, uint64_t limit_us)
{
	uint64_t end = clock_boot_us() + limit_us;
	while (octets.len > 0) {
		ssize_t n = send(s->fd, octets.ptr, octets.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_for(s, POLLOUT, end))
				return false;
			continue;
		}
		if (n < 0)
			return lost(s, strerror(errno));
		octets = slice_from(octets, (size_t)n);
	}
	return true;
}

static bool fill(struct session *s, uint64_t end)
{
	size_t room;
	char *to = buffer_reserve(&s->in, LINE_MAX_SENT, &room);
	ssize_t n;
	if (!to || room == 0)
		return lost(s, "its reply is too long");
	if (!wait_for(s, POLLIN, end))
		return false;
	n = TEMP_FAILURE_RETRY(recv(s->fd, to, room, 0));
	if (n <= 0)
		return lost(s, n < 0 ? strerror(errno) : "it has closed it");
	buffer_grew(&s->in, (size_t)n);
	return true;
}

static void take_extension(struct session *s, struct slice line)
{
	struct slice word = slice_word(&line);
	uint64_t most;
	if (slice_equal_fold(word, SLICE("8BITMIME")))
		s->eight_bit = true;
	if (slice_equal_fold(word, SLICE("SMTPUTF8")))
		s->utf8 = true;
	if (slice_equal_fold(word, SLICE("DSN")))
		s->dsn = true;
	if (!slice_equal_fold(word, SLICE("SIZE")))
		return;
	s->has_size = true;
	if (slice_number(slice_trim(line), UINT64_MAX, &most))
		s->size = most;
}

/* One line of a reply; *more: others follow (RFC 5321 4.2.1). */
static bool take_line(struct session *s, struct slice line, bool *more)
{
	uint64_t code;
	line = slice_trim(line);
	if (line.len < 3 || !slice_number(slice_sub(line, 0, 3), 599, &code) || code < 200)
		return lost(s, "it does not speak SMTP");
	*more = line.len > 3 && line.ptr[3] == '-';
	s->code = (unsigned)code;
	s->text = slice_trim(slice_from(line, 4));
	take_extension(s, s->text);
	return true;
}

/* The next reply, whole. */
static bool read_reply(struct session *s, uint64_t limit_us)
{
	uint64_t end = clock_boot_us() + limit_us;
	size_t at = 0;
	bool more = true;
	buffer_consume(&s->in, s->reply_len);
	s->reply_len = 0;
	while (more) {
		struct slice rest = slice_from(buffer_slice(&s->in), at);
		size_t len = slice_find(rest, '\n');
		if (len == rest.len) {
			if (!fill(s, end))
				return false;
			continue;
		}
		if (!take_line(s, slice_sub(rest, 0, len), &more))
			return false;
		at += len + 1;
	}
	s->reply_len = at;
	return true;
}

/* The enhanced code of RFC 3463 says more than the reply's. */
int submit_code(unsigned reply, struct slice text)
{
	if (reply >= 400 && reply < 500)
		return EX_TEMPFAIL;
	if (slice_starts(text, SLICE("5.1.")))
		return EX_NOUSER;
	if (slice_starts(text, SLICE("5.7.")))
		return EX_NOPERM;
	if (slice_starts(text, SLICE("5.3.4")) || slice_starts(text, SLICE("5.2.3")) ||
	    slice_starts(text, SLICE("5.6.")))
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static bool refused(struct session *s, struct slice what)
{
	struct slice text = slice_sub(s->text, 0, SHOWN_MAX);
	return error_set(s->e, submit_code(s->code, s->text), "%.*s: %u %.*s",
			 SLICE_FMT(slice_sub(what, 0, NAME_SHOWN)), s->code, SLICE_FMT(text));
}

static bool __attribute__((format(printf, 2, 3))) say(struct session *s, const char *format, ...)
{
	struct buffer b;
	va_list ap;
	bool good;
	buffer_init(&b, LINE_MAX_SENT);
	va_start(ap, format);
	good = buffer_vprintf(&b, format, ap);
	va_end(ap);
	if (!good)
		error_set(s->e, EX_SOFTWARE, "a command is too long");
	good = good && write_all(s, buffer_slice(&b), WAIT_COMMAND) && read_reply(s, WAIT_COMMAND);
	buffer_free(&b);
	return good;
}

static bool greet(struct session *s, struct slice host)
{
	if (!read_reply(s, WAIT_COMMAND))
		return false;
	if (s->code != 220)
		return refused(s, SLICE("the server"));
	if (!say(s, "EHLO %.*s\r\n", SLICE_FMT(host)))
		return false;
	return s->code == 250 || refused(s, SLICE("EHLO"));
}

/* What the server must offer for this message. */
static bool can_take(struct session *s, const struct submission *m)
{
	if (s->has_size && s->size > 0 && m->content.len > s->size)
		return error_set(s->e, EX_DATAERR,
				 "the message has %zu octets, the server takes %" PRIu64,
				 m->content.len, s->size);
	if ((m->notify || m->ret || m->envid) && !s->dsn)
		return error_set(s->e, EX_UNAVAILABLE,
				 "-N, -R and -V: the server offers no notifications (RFC 3461)");
	return true;
}

static bool say_mail(struct session *s, const struct submission *m)
{
	char size[40] = "", notice[160] = "";
	bool eight_bit = !ascii_only(m->content) && s->eight_bit;
	if (s->has_size)
		snprintf(size, sizeof(size), " SIZE=%zu", m->content.len);
	snprintf(notice, sizeof(notice), "%s%s%s%s", m->ret ? " RET=" : "", m->ret ? m->ret : "",
		 m->envid ? " ENVID=" : "", m->envid ? m->envid : "");
	if (!say(s, "MAIL FROM:<%.*s>%s%s%s%s\r\n", SLICE_FMT(m->sender), size,
		 eight_bit ? " BODY=8BITMIME" : "", m->utf8 && s->utf8 ? " SMTPUTF8" : "", notice))
		return false;
	return s->code == 250 ||
	       refused(s, m->sender.len > 0 ? m->sender : SLICE("the null sender"));
}

/* All are asked for, also behind one that is refused, which is the one that is told of. One that
 * can't be judged now ends it: the whole message has to come again. */
static bool envelope(struct session *s, const struct submission *m, bool *some)
{
	struct slice address;
	size_t taken = 0, left_out = 0;
	if (!can_take(s, m) || !say_mail(s, m))
		return false;
	for (size_t at = 0; recipients_next(m->recipients, &at, &address);) {
		if (!say(s, "RCPT TO:<%.*s>%s%s\r\n", SLICE_FMT(address),
			 m->notify ? " NOTIFY=" : "", m->notify ? m->notify : ""))
			return false;
		if (s->code == 250 || s->code == 251)
			taken++;
		else if (s->code < 500 || left_out++ == 0)
			refused(s, address);
		if (s->code >= 300 && s->code < 500)
			return false;
	}
	*some = taken > 0 && left_out > 0;
	return left_out == 0;
}

/* A dot at a line's start is doubled (RFC 5321 4.5.2). */
static bool write_content(struct session *s, struct slice content)
{
	struct buffer b;
	bool good = true;
	buffer_init(&b, 2 * CHUNK);
	while (good && content.len > 0) {
		size_t len = slice_find(content, '\n');
		struct slice line = slice_sub(content, 0, len + 1);
		content = slice_from(content, len + 1);
		if (line.ptr[0] == '.')
			buffer_byte(&b, '.');
		if (line.len <= CHUNK) {
			buffer_append(&b, line);
			line = SLICE_EMPTY;
		}
		if (b.len >= CHUNK || line.len > 0 || content.len == 0) {
			good = write_all(s, buffer_slice(&b), WAIT_BLOCK) &&
			       write_all(s, line, WAIT_BLOCK);
			buffer_reset(&b);
		}
	}
	buffer_free(&b);
	return good;
}

static bool data(struct session *s, struct slice content)
{
	if (!write_all(s, SLICE("DATA\r\n"), WAIT_COMMAND) || !read_reply(s, WAIT_DATA))
		return false;
	if (s->code != 354)
		return refused(s, SLICE("DATA"));
	if (!write_content(s, content) || !write_all(s, SLICE(".\r\n"), WAIT_BLOCK) ||
	    !read_reply(s, WAIT_END))
		return false;
	return s->code == 250 || refused(s, SLICE("the message"));
}

bool submit_talk(int fd, const struct submission *m, bool *some, struct error *e)
{
	struct session s = {.fd = fd, .e = e};
	bool good;
	*some = false;
	buffer_init(&s.in, REPLY_MAX);
	good = greet(&s, m->host) && envelope(&s, m, some) && data(&s, m->content);
	if (good || s.code > 0) {
		struct error ignored; /* the message's fate is settled */
		s.e = &ignored;
		(void)write_all(&s, SLICE("QUIT\r\n"), SECONDS(1));
	}
	buffer_free(&s.in);
	return good;
}

int submit_connect(const char *run, struct error *e)
{
	int fd = named_connect(run, "submit", SOCK_STREAM, CONNECT_SECONDS);
	if (fd < 0)
		error_set(e, EX_TEMPFAIL,
			  "no server answers on %s/submit: %s; is it running? see stagepost status",
			  run, strerror(errno));
	return fd;
}
