/*
 * Mail servers that do as they are told, on 127.0.0.1, 127.0.0.2 and so on, all on one port. Each
 * connection has a script, a line for each step:
 *
 *	>TEXT	says TEXT and CRLF
 *	=TEXT	says TEXT at once, with CRLF for each |
 *	<TEXT	hears a line that begins with TEXT
 *	.	hears content up to its final dot
 *	,N	hears N octets and no more
 *	#	hears the octets of the last BDAT line
 *	!	resets the connection
 *	&	waits for the peer's end
 *	%	waits for server_go_on()
 *	*	goes on as a good server with PIPELINING (after EHLO)
 *	T	the server's side of a TLS handshake (test_tls.c)
 *
 * At the script's end the connection is closed. Included once per test program.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/buffer.h"

enum {
	TEST_SERVERS = 6,
	SCRIPTS_MAX = 24,
	HEARD_MAX = 32 * 1024 * 1024,
	SERVER_SECONDS = 15,
};

#define GREETING ">220 mx.test ESMTP\n<EHLO us.test\n"
/* hello of a server with PIPELINING, and of one without */
#define HELLO	    GREETING ">250-mx.test\n>250-PIPELINING\n>250 8BITMIME\n"
#define SLOW_HELLO  GREETING ">250-mx.test\n>250 8BITMIME\n"
#define ENVELOPE    "<MAIL FROM:<s@a.test>\n<RCPT TO:<r1@b.test>\n<DATA\n"
#define ENVELOPE_OK ">250 ok\n>250 ok\n>354 go\n"
#define GOOD	    HELLO "*"

struct server {
	const char *scripts[SCRIPTS_MAX]; /* of its connections in order; the last goes on */
	int fd;
	unsigned connections;
	size_t messages; /* that were accepted by '*' */
	struct buffer heard;
};

struct talk {
	int fd;
	struct server *server;
	const char *script;
	char *in; /* what was read and not heard */
	size_t len, at, bdat;
	void *tls;
	ssize_t (*read)(struct talk *t, void *to, size_t n);
	ssize_t (*write)(struct talk *t, const void *from, size_t n);
	void (*end)(struct talk *t); /* NULL: nothing to do */
};

static struct server servers[TEST_SERVERS];
static unsigned server_port;
static pthread_mutex_t server_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t server_goes_on = PTHREAD_COND_INITIALIZER;
static bool server_may_go_on;
static void (*server_handshake)(struct talk *t);

static inline ssize_t talk_read(struct talk *t, void *to, size_t n)
{
	return recv(t->fd, to, n, 0);
}

static inline ssize_t talk_write(struct talk *t, const void *from, size_t n)
{
	return send(t->fd, from, n, MSG_NOSIGNAL);
}

static inline void talk_heard(struct talk *t, struct slice s)
{
	pthread_mutex_lock(&server_mutex);
	buffer_append(&t->server->heard, s);
	pthread_mutex_unlock(&server_mutex);
}

enum { TALK_ROOM = 1024 * 1024 };

static inline bool talk_fill(struct talk *t)
{
	if (t->at > 0) {
		memmove(t->in, t->in + t->at, t->len - t->at);
		t->len -= t->at;
		t->at = 0;
	}
	if (t->len == TALK_ROOM)
		return false;
	ssize_t n = t->read(t, t->in + t->len, TALK_ROOM - t->len);
	if (n <= 0)
		return false;
	t->len += (size_t)n;
	return true;
}

/* The next line with its end; empty at the end of all. */
static inline struct slice talk_line(struct talk *t)
{
	for (;;) {
		struct slice in = slice_make(t->in + t->at, t->len - t->at);
		size_t end = slice_find(in, '\n');
		if (end < in.len) {
			struct slice line = slice_sub(in, 0, end + 1);
			t->at += line.len;
			talk_heard(t, line);
			return line;
		}
		if (!talk_fill(t))
			return SLICE_EMPTY;
	}
}

static inline bool talk_octets(struct talk *t, size_t n)
{
	while (n > 0) {
		size_t there = t->len - t->at;
		if (there == 0 && !talk_fill(t))
			return false;
		there = t->len - t->at < n ? t->len - t->at : n;
		talk_heard(t, slice_make(t->in + t->at, there));
		t->at += there;
		n -= there;
	}
	return true;
}

static inline bool talk_content(struct talk *t)
{
	for (;;) {
		struct slice line = talk_line(t);
		if (line.len == 0)
			return false;
		if (slice_equal(line, SLICE(".\r\n")))
			return true;
	}
}

static inline bool talk_say(struct talk *t, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = t->write(t, s.ptr, s.len);
		if (n <= 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

static inline bool talk_say_lines(struct talk *t, struct slice text)
{
	struct buffer b;
	bool said;
	buffer_init(&b, TALK_ROOM);
	for (size_t i = 0; i < text.len; i++)
		buffer_append(&b, text.ptr[i] == '|' ? SLICE("\r\n") : slice_make(text.ptr + i, 1));
	said = talk_say(t, buffer_slice(&b));
	buffer_free(&b);
	return said;
}

static inline void talk_bdat(struct talk *t, struct slice line)
{
	struct slice word;
	uint64_t n = 0;
	slice_word(&line);
	word = slice_word(&line);
	slice_number(word, TALK_ROOM, &n);
	t->bdat = (size_t)n;
}

static inline void talk_good(struct talk *t)
{
	for (struct slice line; (line = talk_line(t)).len > 0;) {
		struct slice answer = SLICE("250 2.0.0 Ok\r\n");
		bool message = false;
		if (slice_starts(line, SLICE("DATA"))) {
			if (!talk_say(t, SLICE("354 go\r\n")) || !talk_content(t))
				return;
			message = true;
		} else if (slice_starts(line, SLICE("BDAT"))) {
			message = slice_ends_fold(line, SLICE(" LAST\r\n"));
			talk_bdat(t, line);
			if (!talk_octets(t, t->bdat))
				return;
		} else if (slice_starts(line, SLICE("QUIT"))) {
			talk_say(t, SLICE("221 bye\r\n"));
			return;
		}
		pthread_mutex_lock(&server_mutex);
		t->server->messages += message;
		pthread_mutex_unlock(&server_mutex);
		if (message)
			answer = SLICE("250 2.6.0 taken\r\n");
		if (!talk_say(t, answer))
			return;
	}
}

static inline bool talk_pause(void)
{
	pthread_mutex_lock(&server_mutex);
	while (!server_may_go_on)
		pthread_cond_wait(&server_goes_on, &server_mutex);
	pthread_mutex_unlock(&server_mutex);
	return true;
}

static inline void server_go_on(void)
{
	pthread_mutex_lock(&server_mutex);
	server_may_go_on = true;
	pthread_cond_broadcast(&server_goes_on);
	pthread_mutex_unlock(&server_mutex);
}

/* False: the script is over. */
static inline bool talk_step(struct talk *t, struct slice step)
{
	struct slice text = slice_from(step, 1), line;
	switch (step.ptr[0]) {
	case '>':
		return talk_say(t, text) && talk_say(t, SLICE("\r\n"));
	case '=':
		return talk_say_lines(t, text);
	case '<':
		line = talk_line(t);
		if (slice_starts(line, SLICE("BDAT ")))
			talk_bdat(t, line);
		return line.len > 0 && slice_starts(line, text);
	case '.':
		return talk_content(t);
	case ',':
		return talk_octets(t, (size_t)atoi(text.ptr));
	case '#':
		return talk_octets(t, t->bdat);
	case '!':
		setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
			   sizeof(struct linger));
		return false;
	case '&':
		while (talk_line(t).len > 0)
			;
		return false;
	case '%':
		return talk_pause();
	case '*':
		talk_good(t);
		return false;
	case 'T':
		server_handshake(t);
		return t->tls != NULL;
	default:
		return false;
	}
}

static inline void *talk_run(void *arg)
{
	struct talk *t = arg;
	struct slice script = slice_str(t->script), step;
	while (script.len > 0) {
		slice_split(script, '\n', &step, &script);
		if (step.len > 0 && !talk_step(t, step))
			break;
	}
	if (t->end)
		t->end(t);
	close(t->fd);
	free(t->in);
	free(t);
	return NULL;
}

static inline void *server_run(void *arg)
{
	struct server *s = arg;
	struct timeval late = {SERVER_SECONDS, 0};
	int fd, on = 1;
	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct talk *t = calloc(1, sizeof(*t));
		unsigned n = s->connections++;
		pthread_t thread;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &late, sizeof(late));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		while (n > 0 && (n >= SCRIPTS_MAX || !s->scripts[n]))
			n--;
		*t = (struct talk){.fd = fd,
				   .server = s,
				   .script = s->scripts[n],
				   .in = malloc(TALK_ROOM),
				   .read = talk_read,
				   .write = talk_write};
		ck_assert_int_eq(pthread_create(&thread, NULL, talk_run, t), 0);
		pthread_detach(thread);
	}
	return NULL;
}

/* Server i on 127.0.0.(i+1); no script: nobody listens there. */
static inline void server_start(unsigned i, const char *script)
{
	struct server *s = &servers[i];
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)server_port),
				.sin_addr = {htonl(INADDR_LOOPBACK + i)}};
	socklen_t len = sizeof(a);
	pthread_t thread;
	int on = 1;
	s->scripts[0] = script;
	buffer_init(&s->heard, HEARD_MAX);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(s->fd, (struct sockaddr *)&a, &len);
	server_port = ntohs(a.sin_port);
	if (!script)
		return; /* bound, so that no other has it; refuses */
	ck_assert_int_eq(listen(s->fd, 4096), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, server_run, s), 0);
	pthread_detach(thread);
}

static inline bool server_heard(unsigned i, const char *text)
{
	bool heard;
	pthread_mutex_lock(&server_mutex);
	heard = servers[i].heard.len > 0 &&
		memmem(servers[i].heard.data, servers[i].heard.len, text, strlen(text)) != NULL;
	pthread_mutex_unlock(&server_mutex);
	return heard;
}
