/*
 * tls_load: what smtp-source and smtp-sink are, under TLS, which they do not speak; and who fetches
 * mail. A thread for each session, blocking, so that the tool is small; what it uses of the machine
 * is the same for every server.
 *
 *	tls_load source PORT MESSAGES SESSIONS SIZE KEEP TO
 *	tls_load sink PORT CERTIFICATE KEY
 *	tls_load pop3 PORT SESSIONS THREADS TURNS FETCH PASSWORD
 *
 * The sink counts to standard output, a file: mesg=N. A thread of pop3 is TURNS of the users
 * user0@bench.example, user1@... in turns, so that a maildrop rests between two sessions. FETCH 1:
 * all messages. It says how long a maildrop took to open, mean, microseconds.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 16 * 1024, STACK = 256 * 1024, BACKLOG = 4096 };

static SSL_CTX *tls;
static int port;

/* One side of a session: octets in and out, with TLS from `ssl` on. */
struct talk {
	int fd;
	SSL *ssl; /* NULL: not yet */
	size_t start, len, out_len;
	char in[BUFFER], out[BUFFER];
};

static struct talk *talk_new(int fd)
{
	struct talk *t = malloc(sizeof(*t)); /* its buffers are not touched */
	t->fd = fd;
	t->ssl = NULL;
	t->start = t->len = t->out_len = 0;
	return t;
}

static void die(const char *what)
{
	fprintf(stderr, "tls_load: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static bool flush(struct talk *t)
{
	size_t done = 0;
	while (done < t->out_len) {
		int left = (int)(t->out_len - done);
		ssize_t n = t->ssl ? SSL_write(t->ssl, t->out + done, left)
				   : send(t->fd, t->out + done, (size_t)left, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	t->out_len = 0;
	return true;
}

static bool put(struct talk *t, const char *octets, size_t len)
{
	while (len > 0) {
		size_t n = BUFFER - t->out_len < len ? BUFFER - t->out_len : len;
		memcpy(t->out + t->out_len, octets, n);
		t->out_len += n;
		octets += n;
		len -= n;
		if (t->out_len == BUFFER && !flush(t))
			return false;
	}
	return true;
}

static bool say(struct talk *t, const char *line)
{
	return put(t, line, strlen(line));
}

/* The next line with its end, or NULL. What was said leaves before anybody waits. */
static char *line(struct talk *t, size_t *len)
{
	for (;;) {
		char *at = t->in + t->start, *end = memchr(at, '\n', t->len);
		if (end) {
			*len = (size_t)(end + 1 - at);
			t->start += *len;
			t->len -= *len;
			return at;
		}
		memmove(t->in, at, t->len);
		t->start = 0;
		if (t->len == BUFFER || (t->out_len > 0 && !flush(t)))
			return NULL;
		ssize_t n = t->ssl ? SSL_read(t->ssl, t->in + t->len, (int)(BUFFER - t->len))
				   : recv(t->fd, t->in + t->len, BUFFER - t->len, 0);
		if (n <= 0)
			return NULL;
		t->len += (size_t)n;
	}
}

static void talk_end(struct talk *t)
{
	if (t->ssl) {
		SSL_shutdown(t->ssl);
		SSL_free(t->ssl);
	}
	close(t->fd);
	free(t);
}

static void no_delay(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* The source */

static atomic_long left;
static bool keep;
static const char *to;
static char *content;
static size_t content_len;

static void expect(struct talk *t, char class)
{
	size_t len;
	char *l;
	do
		if (!(l = line(t, &len)) || len < 4 || l[0] != class)
			die(l ? l : "the server is gone");
	while (l[3] == '-');
}

static void command(struct talk *t, const char *text, char class)
{
	say(t, text);
	expect(t, class);
}

static struct talk *dial(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct talk *t = talk_new(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (connect(t->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("the server can't be reached");
	no_delay(t->fd);
	return t;
}

static void secure(struct talk *t)
{
	t->ssl = SSL_new(tls);
	SSL_set_fd(t->ssl, t->fd);
	if (SSL_connect(t->ssl) != 1)
		die("the handshake failed");
}

static struct talk *session(void)
{
	struct talk *t = dial();
	expect(t, '2');
	command(t, "EHLO source.example\r\n", '2');
	command(t, "STARTTLS\r\n", '2');
	secure(t);
	command(t, "EHLO source.example\r\n", '2');
	return t;
}

static void *source_thread(void *arg)
{
	struct talk *t = NULL;
	char recipient[400];
	snprintf(recipient, sizeof(recipient), "RCPT TO:<%s>\r\n", to);
	while (atomic_fetch_sub(&left, 1) > 0) {
		if (!t)
			t = session();
		command(t, "MAIL FROM:<sender@source.example>\r\n", '2');
		command(t, recipient, '2');
		command(t, "DATA\r\n", '3');
		put(t, content, content_len);
		expect(t, '2');
		if (!keep) {
			command(t, "QUIT\r\n", '2');
			talk_end(t);
			t = NULL;
		}
	}
	if (t) {
		command(t, "QUIT\r\n", '2');
		talk_end(t);
	}
	return arg;
}

static void make_content(size_t size)
{
	static const char head[] = "From: sender@source.example\r\nSubject: load\r\n\r\n";
	static const char row[] =
	    "an octet more, an octet more, an octet more, an octet more, an oct\r\n";
	content = malloc(size + sizeof(head) + sizeof(row) + 8);
	content_len = sizeof(head) - 1;
	memcpy(content, head, content_len);
	for (; content_len < size; content_len += sizeof(row) - 1)
		memcpy(content + content_len, row, sizeof(row) - 1);
	memcpy(content + content_len, ".\r\n", 3);
	content_len += 3;
}

/* Threads that share `all` of something, until they have done it. */
static void work(void *(*run)(void *arg), long threads, long all)
{
	pthread_t *made = calloc((size_t)threads, sizeof(*made));
	pthread_attr_t small;
	left = all;
	tls = SSL_CTX_new(TLS_client_method());
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (long i = 0; i < threads; i++)
		if (pthread_create(&made[i], &small, run, (void *)i) != 0)
			die("a thread can't be made");
	for (long i = 0; i < threads; i++)
		pthread_join(made[i], NULL);
}

static void source(char **words)
{
	make_content((size_t)atol(words[3]));
	keep = atoi(words[4]) != 0;
	to = words[5];
	work(source_thread, atol(words[2]), atol(words[1]));
}

/* POP3 */

static const char *password;
static bool fetch;
static long threads_all, turns;
static atomic_long opening; /* microseconds, of all */

static char *positive(struct talk *t)
{
	size_t len;
	char *l = line(t, &len);
	if (!l || l[0] != '+')
		die(l ? l : "the server is gone");
	return l;
}

static void several_lines(struct talk *t)
{
	size_t len;
	char *l;
	positive(t);
	do
		if (!(l = line(t, &len)))
			die("the server is gone");
	while (len != 3 || l[0] != '.');
}

static long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fetch_all(struct talk *t, long count)
{
	char text[64];
	say(t, "UIDL\r\n");
	several_lines(t);
	for (long i = 1; i <= count; i++) {
		snprintf(text, sizeof(text), "RETR %ld\r\n", i);
		say(t, text);
		several_lines(t);
	}
}

static void *pop3_thread(void *arg)
{
	char text[400];
	for (long n = 0; atomic_fetch_sub(&left, 1) > 0; n++) {
		struct talk *t = dial();
		secure(t);
		positive(t);
		snprintf(text, sizeof(text), "USER user%ld@bench.example\r\n",
			 (long)arg + threads_all * (n % turns));
		say(t, text);
		positive(t);
		long begun = now_us(), count;
		snprintf(text, sizeof(text), "PASS %s\r\n", password);
		say(t, text);
		positive(t);
		say(t, "STAT\r\n");
		count = atol(positive(t) + strlen("+OK "));
		atomic_fetch_add(&opening, now_us() - begun);
		if (fetch)
			fetch_all(t, count);
		say(t, "QUIT\r\n");
		positive(t);
		size_t len;
		while (line(t, &len)) /* until the server closes, and so has let the maildrop go */
			;
		talk_end(t);
	}
	return NULL;
}

static void pop3(char **words)
{
	threads_all = atol(words[2]);
	turns = atol(words[3]);
	fetch = atoi(words[4]) != 0;
	password = words[5];
	work(pop3_thread, threads_all, atol(words[1]));
	printf("%ld\n", opening / atol(words[1]));
}

/* The sink */

static atomic_ulong taken;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static void count(void)
{
	char text[32];
	pthread_mutex_lock(&counting);
	int n = snprintf(text, sizeof(text), "mesg=%lu \n", atomic_fetch_add(&taken, 1) + 1);
	if (pwrite(STDOUT_FILENO, text, (size_t)n, 0) < 0)
		die("the count can't be written");
	pthread_mutex_unlock(&counting);
}

static bool is(const char *l, size_t len, const char *verb)
{
	return len >= strlen(verb) && strncasecmp(l, verb, strlen(verb)) == 0;
}

/* Until the dot; false: it broke off. */
static bool take_content(struct talk *t)
{
	size_t len;
	char *l;
	while ((l = line(t, &len)))
		if (len == 3 && l[0] == '.')
			return true;
	return false;
}

static bool begin_tls(struct talk *t)
{
	if (!say(t, "220 2.0.0 go on\r\n") || !flush(t))
		return false;
	t->start = t->len = 0;
	t->ssl = SSL_new(tls);
	SSL_set_fd(t->ssl, t->fd);
	return SSL_accept(t->ssl) == 1;
}

/* False: the session is over. */
static bool take_command(struct talk *t, const char *l, size_t len)
{
	if (is(l, len, "EHLO"))
		return say(
		    t, t->ssl ? "250-sink.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n"
			      : "250-sink.example\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n");
	if (is(l, len, "STARTTLS"))
		return begin_tls(t);
	if (is(l, len, "DATA")) {
		if (!t->ssl || !say(t, "354 go on\r\n") || !take_content(t))
			return false;
		count();
		return say(t, "250 2.0.0 taken\r\n");
	}
	if (is(l, len, "QUIT")) {
		(void)(say(t, "221 2.0.0 bye\r\n") && flush(t));
		return false;
	}
	return say(t, "250 2.0.0 ok\r\n");
}

static void *sink_thread(void *arg)
{
	struct talk *t = arg;
	size_t len;
	char *l;
	bool goes_on = say(t, "220 sink.example ESMTP\r\n");
	while (goes_on && (l = line(t, &len)))
		goes_on = take_command(t, l, len);
	talk_end(t);
	return NULL;
}

static void sink(char **words)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one;
	pthread_attr_t small;
	pthread_t thread;
	tls = SSL_CTX_new(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(tls, words[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, words[2], SSL_FILETYPE_PEM) != 1)
		die("the certificate or its key can't be read");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		die("the port can't be had");
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	while ((one = accept(fd, NULL, NULL)) >= 0) {
		struct talk *t = talk_new(one);
		no_delay(one);
		if (pthread_create(&thread, &small, sink_thread, t) != 0)
			die("a thread can't be made");
	}
	die("no connection can be taken");
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc > 2)
		port = atoi(argv[2]);
	if (argc == 8 && strcmp(argv[1], "source") == 0)
		source(argv + 2);
	else if (argc == 8 && strcmp(argv[1], "pop3") == 0)
		pop3(argv + 2);
	else if (argc == 5 && strcmp(argv[1], "sink") == 0)
		sink(argv + 2);
	else
		die("see the comment at my beginning");
	return 0;
}
