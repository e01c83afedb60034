/*
 * A session under attack: a client (or server) made of the input's octets at one end of a socket
 * pair, the daemon's session at the other, its peers played by the target in the same loop. Nothing
 * waits for time: the loop turns until nothing more comes of what was said. Included once a target.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"
#include "tests/fuzz/must.h"

enum {
	QUIET_TURNS = 4,    /* a question to a peer and its answer take fewer */
	TURNS_MAX = 100000, /* a run that takes more goes round in circles */
	EXPANDED_MAX = 256 * 1024,
	LINE_REPEATED_MAX = 1024,
	HEARD_MAX = 4 * 1024 * 1024,
	DECISIONS = 8,
	PATIENCE_US = 200,
};

/* What is heard at our end. */
struct ear {
	int fd; /* -1: nobody is there */
	bool closed;
	struct buffer heard;
};

static struct ear ear = {.fd = -1};
static unsigned quiet, turns;
static bool (*works)(void); /* more will come, though nothing is said; NULL: never */
static uint8_t decisions[DECISIONS];
static unsigned decided;

/* The same numbers each time: what is said of them can be known beforehand. */
void arc4random_buf(void *to, size_t len)
{
	memset(to, 'n', len);
}

/* A peer has done something: more may come of it. */
static inline void stir(void)
{
	quiet = 0;
}

/* How a peer answers, by the front of the input. */
static inline unsigned decide(unsigned choices)
{
	stir();
	return decisions[decided++ % DECISIONS] % choices;
}

/* Takes the decisions off the input; false: it is too short. */
static inline bool decisions_take(struct slice *in)
{
	if (in->len <= DECISIONS)
		return false;
	memcpy(decisions, in->ptr, DECISIONS);
	decided = 0;
	*in = slice_from(*in, DECISIONS);
	return true;
}

/* `\1 N` is the octet before N * 64 times more, `\2 N` the line before N times more: so a short
 * input reaches long limits. */
static inline void expand(struct slice in, struct buffer *out)
{
	size_t line = 0, line_end = 0;
	buffer_init(out, EXPANDED_MAX);
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];
		size_t n = i + 1 < in.len ? (unsigned char)in.ptr[i + 1] : 0;
		if (c == 1 && out->len > 0 && n > 0) {
			c = buffer_slice(out).ptr[out->len - 1];
			for (n *= 64; n > 0 && buffer_byte(out, c); n--)
				;
			i++;
		} else if (c == 2 && line_end > line && n > 0) {
			char copy[LINE_REPEATED_MAX];
			struct slice s = slice_sub(buffer_slice(out), line, line_end - line);
			s = slice_sub(s, 0, sizeof(copy));
			memcpy(copy, s.ptr, s.len);
			s.ptr = copy;
			while (n-- > 0 && buffer_append(out, s))
				;
			i++;
		} else if (!buffer_byte(out, c)) {
			break;
		} else if (c == '\n') {
			line = line_end;
			line_end = out->len;
		}
	}
}

static inline void hear(void)
{
	static int before;
	char octets[16 * 1024];
	int unread = 0; /* of what we have said */
	ssize_t n;
	if (ear.fd < 0 || ear.closed)
		return;
	if (ioctl(ear.fd, TIOCOUTQ, &unread) == 0 && unread != before)
		stir();
	before = unread;
	while ((n = recv(ear.fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0) {
		must(buffer_append(&ear.heard, slice_make(octets, (size_t)n)));
		stir();
	}
	if (n == 0 || errno != EAGAIN) {
		ear.closed = true;
		stir();
	}
}

static inline void nothing(void *arg)
{
	(void)arg;
}

static inline void on_turn(void *arg)
{
	static struct loop_timer pause;
	(void)arg;
	hear();
	if (++turns > TURNS_MAX)
		abort();
	if (works && works()) {
		quiet = 0;
		loop_timer_start(&pause, PATIENCE_US, nothing, NULL);
	} else if (++quiet > QUIET_TURNS) {
		loop_stop();
	} else {
		loop_turn_again();
	}
}

/* Until nothing more comes of it. */
static inline void settle(void)
{
	quiet = turns = 0;
	loop_run();
}

/* All of it, as fast as it is taken; what is left when the other end takes no more is dropped. */
static inline void say(struct slice octets)
{
	for (unsigned failed = 0; octets.len > 0 && !ear.closed && failed < 2;) {
		ssize_t n = send(ear.fd, octets.ptr, octets.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		octets = slice_from(octets, n > 0 ? (size_t)n : 0);
		failed = n > 0 ? 0 : failed + 1;
		settle();
	}
}

/* The other end is the daemon's. */
static inline int ear_open(void)
{
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	ear.fd = ends[0];
	ear.closed = false;
	buffer_init(&ear.heard, HEARD_MAX);
	return ends[1];
}

static inline void ear_close(void)
{
	close(ear.fd);
	ear.fd = -1;
	settle();
	buffer_free(&ear.heard);
}

/* In pieces the same was heard as whole. */
static inline void same(const struct buffer *whole, const struct buffer *pieces)
{
	if (slice_equal(buffer_slice(whole), buffer_slice(pieces)))
		return;
	fprintf(stderr, "== whole\n%.*s== in pieces\n%.*s", (int)whole->len, whole->data,
		(int)pieces->len, pieces->data);
	must(false);
}

/* No stranger's octet begins a line or a pair. */
static inline void sink(enum log_level level, struct slice line)
{
	char value[LOG_LINE_MAX];
	struct slice key;
	size_t len;
	(void)level;
	must(line.len > 0 && line.len <= LOG_LINE_MAX && slice_find(line, '\n') == line.len);
	while (log_read_pair(&line, &key, value, sizeof(value), &len))
		;
	must(line.len == 0);
}

static inline void peer_closed(struct channel *c)
{
	(void)c;
	abort(); /* both ends are ours: nothing that is said breaks a rule */
}

/* A channel to a peer that the target plays; returns the daemon's end. */
static inline struct channel *peer(const struct dialogue *d, const struct route *plays,
				   const struct route *daemons, struct channel **ours)
{
	int ends[2];
	must(channel_pair(ends));
	*ours = channel_open(ends[0], d, plays, peer_closed, NULL);
	return channel_open(ends[1], d, daemons, peer_closed, NULL);
}

static inline void session_begin_loop(void)
{
	static struct loop_turn turn;
	clock_warm();
	log_set_sink(sink, LOG_LEVEL_DEBUG);
	loop_turn_add_last(&turn, on_turn, NULL);
}
