/*
 * smtp_session: what a server says to smtp, reply by reply, whole and in pieces; each connection
 * gets the octets up to the next \3 of the input, then none. Whatever is said, and whatever the
 * resolver says: each recipient has one outcome, with a code that fits and a text that is
 * printable, and what is said to the server are lines of printable octets.
 */
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/dialogue/resolver.h"
#include "daemons/smtp/smtp.h"
#include "queue/store/record.h"
#include "tests/fuzz/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JOBS = 2, RECIPIENTS = 3, CONNECTIONS_MAX = 12, TOLD_MAX = 64 * 1024, DUE_MAX = 1024 };

struct connector {
	struct loop_timer timer;
	connector_call *call;
	void *arg;
};

static struct {
	struct channel *manager, *resolver;
	uint64_t message; /* of the first job of this run */
	unsigned outcomes, due;
	bool seen[JOBS][RECIPIENTS];
	struct slice script; /* of the connections to come */
	unsigned connections;
	bool flood; /* a server that does not wait for commands */
	bool over;  /* no server is there any more */
	size_t piece;
	struct buffer told; /* outcomes, for the comparison */
} world;

static struct served {
	int fd; /* -1: none */
	struct slice script;
	size_t due;	  /* replies to what has been heard; the greeting is the first */
	char to[DUE_MAX]; /* first letters of the commands, the oldest first */
	bool content;	  /* DATA was answered: lines are no commands up to the dot */
	bool tls;	  /* STARTTLS was answered: octets are no lines */
	size_t chunk;	  /* octets of BDAT that still come */
	size_t reply;	  /* octets of the reply under way that are not said */
	char line[LINE_REPEATED_MAX];
	size_t len;
} served[CONNECTIONS_MAX];

/* The network: a connection is a socket pair, and its server one of ours. */

static void connected(void *arg)
{
	struct connector *c = arg;
	struct served *s = &served[world.connections];
	int ends[2];
	connector_call *call = c->call;
	void *call_arg = c->arg;
	memory_free(c);
	stir();
	if (world.over || world.connections == CONNECTIONS_MAX || world.script.len == 0) {
		call(call_arg, -1, ECONNREFUSED);
		return;
	}
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	world.connections++;
	*s = (struct served){.fd = ends[0], .due = 1, .to = "G"};
	slice_split(world.script, '\3', &s->script, &world.script);
	call(call_arg, ends[1], 0);
}

struct connector *connector_open(const struct net_address *a, uint64_t timeout_us,
				 connector_call *call, void *arg)
{
	struct connector *c = memory_zero(1, sizeof(*c));
	(void)timeout_us;
	must(a->family == NET_IPV4 || a->family == NET_IPV6);
	c->call = call;
	c->arg = arg;
	loop_timer_start(&c->timer, 0, connected, c);
	return c;
}

void connector_free(struct connector **c)
{
	if (*c) {
		loop_timer_stop(&(*c)->timer);
		memory_free(*c);
	}
	*c = NULL;
}

/* Up to the end of one reply: a line whose fourth octet is no dash. */
static size_t reply_end(struct slice script)
{
	for (size_t at = 0; at < script.len;) {
		struct slice line = slice_from(script, at);
		at += slice_find(line, '\n') + 1;
		if (line.len < 4 || line.ptr[3] != '-')
			return at < script.len ? at : script.len;
	}
	return script.len;
}

static void server_close(struct served *s)
{
	close(s->fd);
	s->fd = -1;
	stir();
}

static void reply_due(struct served *s, char to)
{
	must(s->due < DUE_MAX);
	s->to[s->due++] = to;
}

static char reply_to(struct served *s)
{
	char to = s->to[0];
	if (!world.flood && !s->tls)
		memmove(s->to, s->to + 1, --s->due);
	return to;
}

/* What smtp says are lines of printable octets, and content. */
static void server_line(struct served *s)
{
	struct slice line = slice_make(s->line, s->len);
	bool dot = slice_equal(line, SLICE(".\r\n"));
	s->len = 0;
	if (s->content) {
		s->content = !dot;
		if (dot)
			reply_due(s, '.');
		return;
	}
	must(slice_ends_fold(line, SLICE("\r\n")) && line.len > 2);
	for (size_t i = 0; i + 2 < line.len; i++)
		must((unsigned char)line.ptr[i] >= 32 && line.ptr[i] != 127);
	if (slice_starts(line, SLICE("BDAT ")))
		s->chunk = strtoul(line.ptr + 5, NULL, 10);
	if (s->chunk == 0)
		reply_due(s, line.ptr[0]);
}

static void server_octet(struct served *s, char c)
{
	if (s->chunk > 0) {
		if (--s->chunk == 0)
			reply_due(s, 'B');
		return;
	}
	must(s->len < sizeof(s->line));
	s->line[s->len++] = c;
	if (c == '\n')
		server_line(s);
}

static void server_hear(struct served *s)
{
	char octets[16 * 1024];
	ssize_t n;
	while ((n = recv(s->fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n && !world.flood && !s->tls; i++)
			server_octet(s, octets[i]);
		if (s->tls && s->due == 0)
			reply_due(s, 'T');
		stir();
	}
	if (n == 0 || errno != EAGAIN)
		server_close(s);
}

static void server_say(struct served *s)
{
	if (s->reply == 0) {
		s->reply = world.flood || s->tls ? s->script.len : reply_end(s->script);
		char to = reply_to(s);
		s->content = to == 'D' && slice_starts(s->script, SLICE("3"));
		s->tls = s->tls || (to == 'S' && slice_starts(s->script, SLICE("2")));
	}
	ssize_t sent = send(s->fd, s->script.ptr, s->reply < world.piece ? s->reply : world.piece,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	stir();
	if (sent <= 0) {
		server_close(s);
		return;
	}
	s->script = slice_from(s->script, (size_t)sent);
	s->reply -= (size_t)sent;
}

/* At each turn's end: who has been spoken to answers; who has nothing to say leaves. */
static bool serve(void)
{
	for (size_t i = 0; i < world.connections; i++) {
		struct served *s = &served[i];
		if (s->fd >= 0)
			server_hear(s);
		if (s->fd >= 0 && (s->due > 0 || s->reply > 0) && s->script.len > 0)
			server_say(s);
		else if (s->fd >= 0 && s->due > 0 && quiet >= QUIET_TURNS)
			server_close(s);
	}
	return false;
}

/* The queue manager */

static void on_outcome(struct channel *c, const void *record)
{
	const struct job_outcome *m = record;
	struct job_noted noted = {m->message, m->recipient, m->attempt};
	uint64_t job = m->message - world.message;
	unsigned family = m->code / 100;
	stir();
	must(job < JOBS && m->recipient < RECIPIENTS && m->attempt == 1 &&
	     !world.seen[job][m->recipient]);
	world.seen[job][m->recipient] = true;
	world.outcomes++;
	must((m->status == JOB_DELIVERED && family == 2) ||
	     (m->status == JOB_DEFERRED && family == 4) ||
	     (m->status == JOB_FAILED && family == 5));
	for (size_t i = 0; i < m->text.len; i++)
		must(m->text.ptr[i] >= 32 && m->text.ptr[i] <= 126);
	buffer_printf(&world.told, "%u.%u: %u %u %.*s %.*s %d%d %.*s\n", (unsigned)job,
		      m->recipient, m->status, m->code, SLICE_FMT(m->enhanced), SLICE_FMT(m->text),
		      m->site, m->dsn, SLICE_FMT(m->relay));
	channel_send(c, JOB_NOTED, &noted);
}

static void ignore(struct channel *c, const void *record)
{
	(void)c, (void)record;
	stir();
}

static const struct route manager_plays[] = {{JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
					     {JOB_HOLDING, ROUTE_ALWAYS, ignore},
					     {JOB_HOLDING_END, ROUTE_ALWAYS, ignore},
					     {0, 0, NULL}};

static const char *const next_hops[] = {
    "example.test",
    "example.test:587",
    "[mx.example.test]:25",
    "[192.0.2.1]:25 [IPv6:2001:db8::1]:25",
    "example.test [192.0.2.9]:25",
    "[192.0.2.1]:25",
};

static void start(uint64_t message, unsigned how)
{
	static const char *const addresses[] = {"r0@b.test", "r1@b.test", "\xc3\xa4@b.test"};
	static const char *const bodies[] = {"\r\nHello\r\n.\r\n", "\r\n8 bit \xe4", "",
					     "\r\nbare \n and \r\r\n"};
	struct job_start m = {
	    .message = message,
	    .attempt = 1,
	    .sender = how & 1 ? SLICE_EMPTY : SLICE("s@a.test"),
	    .address = slice_str(addresses[0]),
	    .original = slice_str(addresses[0]),
	    .more = how & 2 ? RECIPIENTS - 1 : 0,
	    .notify = how & 4 ? NOTIFY_SUCCESS | NOTIFY_DELAY : 0,
	    .orcpt = how & 4 ? SLICE("rfc822;o@b.test") : SLICE_EMPTY,
	    .envid = how & 4 ? SLICE("envid+2B") : SLICE_EMPTY,
	    .flags = how & 8	? JOB_UTF8
		     : how & 16 ? JOB_8BITMIME | JOB_RET_HDRS
				: 0,
	    .content = how & 16 ? 255 : 0,
	    .next_hop = slice_str(next_hops[how % 6]),
	    .destination = slice_str(next_hops[how % 6]),
	    .trace = SLICE("Received: us\r\n"),
	    .header = SLICE("Subject: x\r\n"),
	    .body = slice_str(bodies[how >> 5 & 3]),
	    .fd = -1,
	};
	m.size = m.header.len + m.body.len;
	world.due += m.more + 1;
	channel_send(world.manager, JOB_START, &m);
	for (uint32_t i = 1; i <= m.more; i++) {
		const char *address = addresses[i == 2 && !(how & 8) ? 1 : i];
		struct job_more more = {.message = message,
					.recipient = i,
					.attempt = 1,
					.address = slice_str(address),
					.original = slice_str(address)};
		channel_send(world.manager, JOB_MORE, &more);
	}
}

/* The resolver */

static void on_hosts(struct channel *c, const void *record)
{
	static const char *const hosts[] = {"192.0.2.1", "2001:db8::2", "192.0.2.3", "192.0.2.4"};
	const struct resolve_hosts *m = record;
	struct resolve_done done = {.request = m->request};
	unsigned how = decide(8);
	for (unsigned i = 0; how < 6 && i <= how % 4; i++) {
		struct resolve_address a = {.request = m->request,
					    .host = SLICE("mx.example.test"),
					    .address = slice_str(hosts[i]),
					    .preference = i,
					    .best = i == how % 2};
		channel_send(c, RESOLVE_ADDRESS, &a);
	}
	if (how >= 6) {
		done.code = how == 6 ? 451 : 556;
		done.enhanced = how == 6 ? SLICE("4.4.3") : SLICE("5.1.10");
		done.text = SLICE("no such host");
	}
	done.site = m->mx ? how == 5 ? SLICE("other.site") : SLICE("mx.example.test") : SLICE_EMPTY;
	channel_send(c, RESOLVE_DONE, &done);
}

static const struct route resolver_plays[] = {{RESOLVE_HOSTS, ROUTE_ALWAYS, on_hosts},
					      {0, 0, NULL}};

/* The house */

/* A job may wait for a moment before one more session is opened for it. */
static bool works_on(void)
{
	return serve() || (world.over && world.outcomes < world.due);
}

static void build_world(void)
{
	struct settings_server server = {.hostname = SLICE("us.test")};
	session_begin_loop();
	smtp_settings_begin();
	smtp_setting(&settings_server_record, &server);
	smtp_settings_end();
	jobs_warm();
	jobs_start();
	lookup_up(peer(&resolver_dialogue, resolver_plays, lookup_routes, &world.resolver), 0);
	jobs_up(peer(&job_dialogue, manager_plays, jobs_routes, &world.manager), 0);
	works = works_on;
	settle();
}

static void run(struct slice script, const uint8_t *how, size_t piece)
{
	world.message += JOBS;
	world.outcomes = world.due = world.connections = 0;
	memset(world.seen, 0, sizeof(world.seen));
	world.script = script;
	world.piece = piece;
	world.flood = how[2] & 1;
	world.over = false;
	decided = 0;
	start(world.message, how[0]);
	if (how[2] & 2)
		start(world.message + 1, how[1]);
	settle();
	world.over = true;
	for (size_t i = 0; i < world.connections; i++)
		if (served[i].fd >= 0)
			server_close(&served[i]);
	settle();
	must(world.outcomes == world.due);
}

/* Whether a host may have TLS is remembered, and so what comes of it is not the same again. */
static bool is_repeatable(struct slice script, const uint8_t *how)
{
	for (; script.len > 0; script = slice_from(script, 1))
		if (slice_starts_fold(script, SLICE("STARTTLS")))
			return false;
	return how[2] == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct buffer script, whole;
	static bool begun;
	if (!begun)
		build_world();
	begun = true;
	if (size < 4 || !(in = slice_from(in, 4), decisions_take(&in)))
		return 0;
	expand(in, &script);
	buffer_init(&world.told, TOLD_MAX);
	run(buffer_slice(&script), data, script.len + 1);
	if (is_repeatable(buffer_slice(&script), data) && script.len / (data[3] + 1U) < 2000) {
		whole = world.told;
		buffer_init(&world.told, TOLD_MAX);
		run(buffer_slice(&script), data, data[3] + 1U);
		same(&whole, &world.told);
		buffer_free(&whole);
	}
	buffer_free(&world.told);
	buffer_free(&script);
	return 0;
}
