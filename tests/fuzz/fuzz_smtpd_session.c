/*
 * smtpd_session: what a client says to smtpd and submission, whole and in pieces, with peers that
 * answer as the input's front decides. Whatever is said: replies are lines of the right form, the
 * same in pieces as whole; each 250 of a message stands for one record in the segment, whose
 * digest, envelope and length are right; and no log line is broken.
 */
#include "common/base/bytes.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/writer.h"
#include "common/service/logins.h"
#include "queue/store/digest.h"
#include "queue/writing/writing.h"
#include "tests/fuzz/session.h"

#include <sys/mman.h>

/* a room's files are in no library */
#include "daemons/smtpd/server.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT = 1 << 20, LEASES_MAX = 64, RUDE = 16, BARE = 32, RESTARTS_MAX = 3 };

static struct {
	struct channel *queue;
	uint64_t lease;
	int segments[LEASES_MAX]; /* of the last leases, for us to read */
	unsigned noticed, told, restarts;
	uint64_t sends; /* question to usage whose recipients come */
	uint32_t to;
	unsigned verdict;
	uint64_t owed; /* question to the router that waits; 0: none */
} world;

/* A peer ends in the middle of a question, and is there again with the next turn. */
enum link { LINK_ROUTER, LINK_RESOLVER, LINK_ACCOUNTS, LINK_USAGE, LINKS };
static bool restart(enum link which); /* false: often enough */

/* router */

static void on_check(struct channel *c, const void *record)
{
	const struct router_check *m = record;
	static const struct {
		unsigned action, code;
		const char *text;
	} answers[] = {
	    {VERDICT_CONTINUE, 0, ""},
	    {VERDICT_CONTINUE, 0, ""},
	    {VERDICT_CONTINUE, 0, ""},
	    {VERDICT_CONTINUE, 0, ""},
	    {VERDICT_REPLY, 550, "no such user"},
	    {VERDICT_REPLY, 451, "later"},
	    {VERDICT_DISCARD, 0, ""},
	};
	unsigned n = decide(9);
	if (n == 8 && restart(LINK_ROUTER))
		return;
	n %= 8;
	if (n == 7) { /* it answers when the client has gone */
		world.owed = m->request;
		return;
	}
	struct router_verdict v = {.request = m->request,
				   .action = answers[n].action,
				   .code = answers[n].code,
				   .enhanced = answers[n].code ? SLICE("5.1.1") : SLICE_EMPTY,
				   .text = slice_str(answers[n].text)};
	channel_send(c, ROUTER_VERDICT, &v);
}

static const struct route router_plays[] = {{ROUTER_CHECK, ROUTE_ALWAYS, on_check}, {0, 0, NULL}};

/* queue manager */

static int memory_file(size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void on_want_lease(struct channel *c, const void *record)
{
	int fd = memory_file(SEGMENT), *kept = &world.segments[++world.lease % LEASES_MAX];
	struct writer_leased m = {.number = world.lease,
				  .nonce = SLICE("0123456789abcdef"),
				  .segment = (uint32_t)world.lease,
				  .size = SEGMENT,
				  .spool = 1,
				  .incarnation = (uint32_t)world.lease,
				  .fd = fd};
	(void)record;
	stir();
	if (*kept > 0)
		close(*kept);
	*kept = fd;
	channel_send(c, WRITER_LEASED, &m);
}

static void on_want_file(struct channel *c, const void *record)
{
	static uint64_t number;
	struct writer_filed m = {.number = ++number, .nonce = SLICE("0123456789abcdef")};
	(void)record;
	stir();
	m.fd = memory_file(0);
	channel_send(c, WRITER_FILED, &m);
	close(m.fd);
}

/* What is said to be durable is there. */
static void look_at_record(uint64_t lease, const char *entry)
{
	uint32_t length = get_u32(entry + 16);
	uint8_t digest[DIGEST_SIZE];
	struct stored_message m;
	struct arena arena;
	struct error e;
	char *octets = memory_get(length);
	must(lease <= world.lease && lease + LEASES_MAX > world.lease);
	must(pread(world.segments[lease % LEASES_MAX], octets, length, (off_t)get_u64(entry + 8)) ==
	     (ssize_t)length);
	arena_init(&arena, 1 << 24);
	must(record_decode(slice_make(octets, length), &arena, &m, &e));
	record_digest(slice_make(octets, length), digest);
	must(m.id == get_u64(entry) && m.recipient_count == get_u32(entry + 32) &&
	     m.recipient_count > 0 && memcmp(digest, entry + 40, DIGEST_SIZE) == 0);
	must(m.file.number == get_u64(entry + 24));
	must(m.content_size == (m.file.number ? m.file.body_length + m.file.header_length
					      : m.header.len + m.body.len));
	arena_free(&arena);
	memory_free(octets);
}

static void on_notice(struct channel *c, const void *record)
{
	const struct writer_notice *m = record;
	(void)c;
	stir();
	must(m->entries.len % WRITER_ENTRY_SIZE == 0);
	for (size_t at = 0; at < m->entries.len; at += WRITER_ENTRY_SIZE, world.noticed++)
		look_at_record(m->lease, m->entries.ptr + at);
}

static void ignore(struct channel *c, const void *record)
{
	(void)c, (void)record;
	stir();
}

static const struct route queue_plays[] = {
    {WRITER_WANT_LEASE, ROUTE_ALWAYS, on_want_lease},
    {WRITER_WANT_FILE, ROUTE_ALWAYS, on_want_file},
    {WRITER_NOTICE, ROUTE_ALWAYS, on_notice},
    {WRITER_SEALED, ROUTE_ALWAYS, ignore},
    {WRITER_FAILED, ROUTE_ALWAYS, ignore},
    {WRITER_ABANDONED, ROUTE_ALWAYS, ignore},
    {0, 0, NULL},
};

/* resolver */

static void on_name(struct channel *c, const void *record)
{
	static const char *const names[] = {"", "client.example.org", "x"};
	const struct resolve_name *m = record;
	unsigned n = decide(4);
	if (n == 3 && restart(LINK_RESOLVER))
		return;
	struct resolve_named named = {.request = m->request, .name = slice_str(names[n % 3])};
	channel_send(c, RESOLVE_NAMED, &named);
}

static const struct route resolver_plays[] = {{RESOLVE_NAME, ROUTE_ALWAYS, on_name}, {0, 0, NULL}};

/* accounts */

static void login_answer(struct channel *c, uint64_t request)
{
	unsigned n = decide(LOGIN_TROUBLE + 1);
	if (n == LOGIN_TROUBLE && restart(LINK_ACCOUNTS))
		return;
	struct login_done done = {.request = request,
				  .result = n % LOGIN_TROUBLE + 1,
				  .user = SLICE("bob@example.org"),
				  .signature = SLICE("0123456789abcdef0123456789abcdef")};
	channel_send(c, LOGIN_DONE, &done);
}

static void on_login(struct channel *c, const void *record)
{
	const struct login_check *m = record;
	must(m->user.len > 0 && m->password.len > 0);
	login_answer(c, m->request);
}

static void on_scram(struct channel *c, const void *record)
{
	const struct login_scram *m = record;
	struct login_salt salt = {
	    .request = m->request, .salt = SLICE("0123456789abcdef"), .iterations = 4096};
	stir();
	channel_send(c, LOGIN_SALT, &salt);
}

static void on_proof(struct channel *c, const void *record)
{
	login_answer(c, ((const struct login_proof *)record)->request);
}

static const struct route accounts_plays[] = {
    {LOGIN_CHECK, ROUTE_ALWAYS, on_login},
    {LOGIN_SCRAM_ASK, ROUTE_ALWAYS, on_scram},
    {LOGIN_PROOF, ROUTE_ALWAYS, on_proof},
    {LOGIN_FORGET, ROUTE_ALWAYS, ignore},
    {0, 0, NULL},
};

/* usage */

static void on_sends(struct channel *c, const void *record)
{
	const struct usage_sends *m = record;
	(void)c;
	world.sends = m->request;
	world.to = m->recipients;
	world.verdict = decide(9);
	must(m->recipients > 0);
}

static void on_to(struct channel *c, const void *record)
{
	const struct usage_to *m = record;
	struct usage_verdict v = {.request = m->request,
				  .hold = world.verdict == 5 || world.verdict == 7,
				  .refuse = world.verdict == 6,
				  .tell = world.verdict == 7,
				  .text = SLICE("messages-day")};
	stir();
	must(m->request == world.sends && m->hashes.len % 8 == 0 && m->hashes.len / 8 <= world.to);
	world.to -= (uint32_t)(m->hashes.len / 8);
	if (world.to > 0)
		return;
	if (world.verdict == 8 && restart(LINK_USAGE))
		return;
	world.told += v.tell;
	channel_send(c, USAGE_VERDICT, &v);
}

static const struct route usage_plays[] = {
    {USAGE_SENDS, ROUTE_ALWAYS, on_sends}, {USAGE_TO, ROUTE_ALWAYS, on_to}, {0, 0, NULL}};

/* The house */

static const struct {
	const struct dialogue *dialogue;
	const struct route *plays, *routes;
	void (*up)(struct channel *c, unsigned instance);
	void (*down)(struct channel *c);
} links[LINKS] = {
    [LINK_ROUTER] = {&router_dialogue, router_plays, verdict_routes, verdict_up, verdict_down},
    [LINK_RESOLVER] = {&resolver_dialogue, resolver_plays, names_routes, names_up, names_down},
    [LINK_ACCOUNTS] = {&login_dialogue, accounts_plays, logins_routes, logins_up, logins_down},
    [LINK_USAGE] = {&usage_dialogue, usage_plays, usage_routes, usage_up, usage_down},
};
static struct channel *ours[LINKS], *daemons[LINKS];
static struct loop_timer restarter;

static void link_up(enum link i)
{
	struct login_mechanisms m = {LOGIN_PLAIN | LOGIN_LOGIN | LOGIN_SCRAM};
	daemons[i] = peer(links[i].dialogue, links[i].plays, links[i].routes, &ours[i]);
	links[i].up(daemons[i], 0);
	if (i == LINK_ACCOUNTS)
		channel_send(ours[i], LOGIN_MECHANISMS, &m);
}

static void restart_due(void *arg)
{
	enum link i = (enum link)(uintptr_t)arg;
	struct channel *c = daemons[i];
	links[i].down(c);
	channel_free(&c);
	channel_free(&ours[i]);
	link_up(i);
	stir();
}

/* What is asked again may hear the same again. */
static bool restart(enum link which)
{
	if (world.restarts++ >= RESTARTS_MAX)
		return false;
	loop_timer_start(&restarter, 0, restart_due, (void *)(uintptr_t)which);
	return true;
}

/* A commit, or the end of a session whose client has gone; but for one that waits for us. */
static bool goes_on(void)
{
	return writer_pending(queue_writer()) > 0 ||
	       (ear.fd < 0 && !world.owed && !TAILQ_EMPTY(&sessions));
}

static void configure(void)
{
	struct settings_server server = {.hostname = SLICE("mx.example.org"),
					 .origin = SLICE("example.org")};
	struct settings_limits limits = {.message_size = 200000,
					 .recipients = 5,
					 .connections = 100,
					 .per_client = 100,
					 .errors = 8,
					 .unknown_recipients = 4,
					 .idle = 600000000,
					 .min_rate = 1};
	struct settings_network trust = {SLICE("trust"), SLICE("192.0.2.0/24")};
	struct settings_listen normalizing = {SLICE("normalizing"), SLICE("smtp"), true};
	struct settings_resolver resolver = {.peer_names = true};
	smtpd_settings_begin();
	smtpd_setting(&settings_server_record, &server);
	smtpd_setting(&settings_limits_record, &limits);
	smtpd_setting(&settings_network_record, &trust);
	smtpd_setting(&settings_listen_record, &normalizing);
	smtpd_setting(&settings_resolver_record, &resolver);
	smtpd_settings_end();
}

static void build_world(void)
{
	session_begin_loop();
	record_warm();
	logins_warm(server_end_user);
	usage_warm();
	server_warm();
	configure();
	server_start();
	queue_up(peer(&writer_dialogue, queue_plays, queue_routes, &world.queue), 0);
	for (enum link i = 0; i < LINKS; i++)
		link_up(i);
	settle();
	settle();
	must(opened && writer_state(queue_writer()) == WRITER_READY);
	works = goes_on;
}

/* How many octets of the text a client may send before it waits for a reply: up to the end of a
 * line that ends a group (RFC 2920 3.1); one that has said HELO waits after each line. */
static size_t group(struct slice text, size_t most, bool each_line)
{
	static const char *const last[] = {"HELO", "EHLO", "AUTH",    "DATA",
					   "NOOP", "VRFY", "STARTTLS"};
	for (size_t at = 0; at < most;) {
		struct slice line = slice_from(text, at);
		size_t end = at + slice_find(line, '\n') + 1;
		if (end > most)
			break;
		for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++)
			if (each_line || slice_starts_fold(line, slice_str(last[i])))
				return end;
		at = end;
	}
	return most;
}

static bool says_helo(struct slice text)
{
	for (; text.len > 0; text = slice_from(text, 1))
		if (slice_starts_fold(text, SLICE("HELO")))
			return true;
	return false;
}

/* In pieces of so many octets; a polite client waits where it must. */
static void say_pieces(struct slice text, size_t piece, bool polite)
{
	bool each_line = says_helo(text);
	/* the line that a piece begins within is known by its front, which came before */
	for (size_t line = 0, at = 0; at < text.len && !ear.closed;) {
		size_t most = at + piece < text.len ? at + piece : text.len, end = most;
		if (polite)
			end = line + group(slice_from(text, line), most - line, each_line);
		say(slice_sub(text, at, end - at));
		for (at = end; line < at;) {
			size_t next = line + slice_find(slice_from(text, line), '\n') + 1;
			if (next > at)
				break;
			line = next;
		}
	}
}

/* One session; what is heard is added to all. `how`: whose, 2 bits of kind, trust, normalising,
 * politeness. */
static void converse(struct slice text, unsigned how, size_t piece, struct buffer *all)
{
	static struct listener listener;
	struct net_address peer_address;
	struct session *s;
	listener.name = how & 8 ? SLICE("normalizing") : SLICE("usual");
	listener.kind = &kinds[how & 1 ? 1 : how & 2 ? 3 : 0];
	must(net_ip_parse(how & 4 ? SLICE("192.0.2.1") : SLICE("198.51.100.1"), &peer_address));
	if (listener.kind->local)
		peer_address = (struct net_address){.family = NET_UNIX};
	s = session_begin(&listener, listener.kind, ear_open(), &peer_address, 1000);
	if (listener.kind->login && !(how & BARE)) {
		s->secure = true;
		line_reader_init(&s->lines, LINE_LOGIN_MAX);
	}
	world.restarts = 0;
	settle(); /* the greeting */
	say_pieces(text, piece, (how & RUDE) == 0);
	must(buffer_append(all, buffer_slice(&ear.heard)));
	ear_close();
	while (world.owed) {
		struct router_verdict v = {.request = world.owed, .action = VERDICT_CONTINUE};
		world.owed = 0;
		channel_send(ours[LINK_ROUTER], ROUTER_VERDICT, &v);
		settle();
	}
	must(TAILQ_EMPTY(&sessions) && connections == 0);
}

/* Lines of the form that RFC 5321 4.2 has; returns how many messages were taken. What names this
 * run alone, the queue id, is made the same. */
static unsigned look_at_replies(struct buffer *all)
{
	static const char queued[] = "250 2.0.0 Ok: queued as ";
	unsigned taken = 0;
	for (size_t at = 0, end; at < all->len; at = end) {
		struct slice line = slice_from(buffer_slice(all), at);
		size_t lf = slice_find(line, '\n');
		must(lf < line.len && lf > 3 && line.ptr[lf - 1] == '\r' && lf < REPLY_LINE_MAX);
		end = at + lf + 1;
		must(line.ptr[0] >= '2' && line.ptr[0] <= '5' && line.ptr[1] >= '0' &&
		     line.ptr[1] <= '5' && line.ptr[2] >= '0' && line.ptr[2] <= '9' &&
		     (line.ptr[3] == ' ' || line.ptr[3] == '-'));
		for (size_t i = 0; i + 1 < lf; i++)
			must(line.ptr[i] >= 32 && line.ptr[i] <= 126);
		if (!slice_starts(line, slice_str(queued)))
			continue;
		taken++;
		memset(all->data + at + sizeof(queued) - 1, 'I', lf - sizeof(queued));
	}
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct buffer text, whole, pieces;
	static bool begun;
	unsigned how;
	if (!begun)
		build_world();
	begun = true;
	if (size < 2 || !(how = data[0], in = slice_from(in, 2), decisions_take(&in)))
		return 0;
	expand(in, &text);
	buffer_init(&whole, HEARD_MAX);
	buffer_init(&pieces, HEARD_MAX);
	world.noticed = world.told = 0;
	converse(buffer_slice(&text), how, text.len + 1, &whole);
	unsigned taken = look_at_replies(&whole);
	must(taken <= world.noticed && world.noticed <= taken + world.told + 1);
	if (text.len / (data[1] + 1U) < 2000) {
		decided = 0;
		converse(buffer_slice(&text), how, data[1] + 1U, &pieces);
		look_at_replies(&pieces);
		if ((how & RUDE) == 0) /* who is rude says things where he can't know */
			same(&whole, &pieces);
	}
	buffer_free(&text);
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
