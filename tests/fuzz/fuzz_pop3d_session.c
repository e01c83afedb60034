/*
 * pop3d_session: what a client says to pop3d, whole and in pieces, while accounts, maildrop and the
 * child of a mailbox answer as the input's front decides, the child also with lies. Whatever is
 * said: replies have the right form, the same in pieces as whole, and a session that has ended
 * leaves no maildrop open.
 */
#include "common/base/bytes.h"
#include "tests/fuzz/session.h"
/* a room's files are in no library */
#include "daemons/pop3d/server.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES = 3, MOST_REPLIES = 2000 };

static const char ticket[LOGIN_TICKET_SIZE + 1] = "0123456789abcdef";
static const char content[] = "Subject: x\n\n.one\ntwo\r\n..\nno line's end";

static struct {
	struct channel *accounts, *maildrop, *child;
	bool lied;     /* the child: when that is seen depends on what else is under way */
	uint64_t owed; /* question to accounts that waits; 0: none */
} world;

/* The child */

static void child_closed(struct channel *c)
{
	must(c == world.child);
	stir();
	channel_free(&world.child);
}

static void list(void)
{
	char entries[(MESSAGES + 1) * MAILDROP_LIST_SIZE] = {0};
	struct maildrop_listed m = {slice_make(entries, MESSAGES * MAILDROP_LIST_SIZE)};
	struct maildrop_state state = {.state = MAILDROP_READY, .messages = MESSAGES};
	unsigned how = decide(12);
	for (size_t i = 0; i <= MESSAGES; i++) {
		char *entry = entries + i * MAILDROP_LIST_SIZE;
		put_u64(entry, 10 * (i + 1));
		entry[8] = how == 11 ? (char)200 : 2;
		entry[9] = how == 10 ? '\n' : 'u';
		entry[10] = (char)('1' + i);
	}
	if (how == 9)
		m.entries.len -= 1;
	if (how == 8)
		m.entries.len += MAILDROP_LIST_SIZE;
	if (how == 7)
		state.state = MAILDROP_LOCKED;
	if (how == 6)
		state.state = 0;
	channel_send(world.child, MAILDROP_LISTED, &m);
	channel_send(world.child, MAILDROP_STATE, &state);
}

static void on_read(struct channel *c, const void *record)
{
	const struct maildrop_read *m = record;
	struct maildrop_part part = {.number = m->number};
	unsigned how = decide(16);
	must(m->number >= 1 && m->number <= MESSAGES);
	world.lied |= how >= 10;
	part.octets = slice_sub(slice_str(content), (size_t)m->from, how == 8 ? 5 : m->most);
	part.last = m->from + part.octets.len >= sizeof(content) - 1;
	part.failed = how == 9;
	part.number += how == 10;
	if (how == 11)
		part.octets = SLICE_EMPTY;
	if (how == 12)
		channel_send(c, MAILDROP_PART, &part);
	if (how == 13)
		channel_break(c, "a lie");
	channel_send(c, MAILDROP_PART, &part);
}

static void on_delete(struct channel *c, const void *record)
{
	const struct maildrop_delete *m = record;
	struct maildrop_deleted done = {.deleted = (uint32_t)(m->numbers.len / 4)};
	unsigned how = decide(8);
	for (size_t i = 0; i + 4 <= m->numbers.len; i += 4)
		must(get_u32(m->numbers.ptr + i) >= 1 && get_u32(m->numbers.ptr + i) <= MESSAGES);
	if (!m->all)
		return;
	if (how == 6)
		done.failed = 1;
	if (how == 7)
		channel_break(c, "died");
	channel_send(c, MAILDROP_DELETED, &done);
}

static const struct route child_plays[] = {{MAILDROP_READ, ROUTE_ALWAYS, on_read},
					   {MAILDROP_DELETE, ROUTE_ALWAYS, on_delete},
					   {0, 0, NULL}};

/* accounts and maildrop */

static void answer(uint64_t request, bool late)
{
	static const unsigned results[] = {LOGIN_HOLDS,	 LOGIN_HOLDS,  LOGIN_HOLDS,
					   LOGIN_DENIED, LOGIN_BANNED, LOGIN_TROUBLE};
	unsigned how = late ? 0 : decide(7);
	struct login_done done = {.request = request,
				  .user = SLICE("bob@example.org"),
				  .signature = SLICE("0123456789abcdef0123456789abcdef"),
				  .ticket = slice_make(ticket, LOGIN_TICKET_SIZE)};
	if (how == 6) { /* when the client has gone */
		world.owed = request;
		return;
	}
	done.result = results[how];
	channel_send(world.accounts, LOGIN_DONE, &done);
}

static void on_check(struct channel *c, const void *record)
{
	const struct login_check *m = record;
	(void)c;
	must(m->user.len > 0 && m->password.len > 0);
	answer(m->request, false);
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
	(void)c;
	answer(((const struct login_proof *)record)->request, false);
}

static void ignore(struct channel *c, const void *record)
{
	(void)c, (void)record;
	stir();
}

static const struct route accounts_plays[] = {{LOGIN_CHECK, ROUTE_ALWAYS, on_check},
					      {LOGIN_SCRAM_ASK, ROUTE_ALWAYS, on_scram},
					      {LOGIN_PROOF, ROUTE_ALWAYS, on_proof},
					      {LOGIN_FORGET, ROUTE_ALWAYS, ignore},
					      {0, 0, NULL}};

static void on_open(struct channel *c, const void *record)
{
	const struct maildrop_open *m = record;
	struct maildrop_opened opened = {.request = m->request, .fd = -1};
	int ends[2] = {-1, -1};
	must(slice_equal(m->ticket, slice_make(ticket, LOGIN_TICKET_SIZE)));
	if (decide(8) == 7 || world.child) {
		opened.text = SLICE("no process");
	} else {
		must(channel_pair(ends));
		opened.fd = ends[1];
		world.child = channel_open(ends[0], &maildrop_session_dialogue, child_plays,
					   child_closed, NULL);
	}
	channel_send(c, MAILDROP_OPENED, &opened);
	if (ends[1] >= 0) {
		close(ends[1]);
		list();
	}
}

static const struct route maildrop_plays[] = {{MAILDROP_OPEN, ROUTE_ALWAYS, on_open}, {0, 0, NULL}};

/* The house */

static bool goes_on(void)
{
	return ear.fd < 0 && !world.owed && (!TAILQ_EMPTY(&sessions) || world.child);
}

static void build_world(void)
{
	struct settings_server server = {.hostname = SLICE("mx.example.org")};
	struct settings_limits limits = {
	    .connections = 10, .per_client = 10, .errors = 8, .idle = 600000000};
	struct login_mechanisms m = {LOGIN_PLAIN | LOGIN_LOGIN | LOGIN_SCRAM};
	session_begin_loop();
	logins_warm(server_revoke);
	box_warm();
	server_start();
	pop3d_settings_begin();
	pop3d_setting(&settings_server_record, &server);
	pop3d_setting(&settings_limits_record, &limits);
	pop3d_settings_end();
	logins_up(peer(&login_dialogue, accounts_plays, logins_routes, &world.accounts), 0);
	box_up(peer(&maildrop_dialogue, maildrop_plays, box_routes, &world.maildrop), 0);
	channel_send(world.accounts, LOGIN_MECHANISMS, &m);
	settle();
	settle();
	must(logins_offered() != 0);
	works = goes_on;
}

/* A client that says STLS waits (RFC 2595 4): so that pieces are the same as the whole, a piece
 * ends with the line. */
static size_t piece_end(struct slice text, size_t most)
{
	for (size_t at = 0; at < most;) {
		struct slice line = slice_from(text, at);
		at += slice_find(line, '\n') + 1;
		if (at <= most && slice_starts_fold(line, SLICE("STLS")))
			return at;
	}
	return most;
}

static void converse(struct slice text, bool secured, size_t piece, struct buffer *all)
{
	struct net_address a;
	struct session *s;
	must(net_ip_parse(SLICE("192.0.2.1"), &a));
	s = session_open(ear_open(), NULL, client_enter(&a, 0), "192.0.2.1");
	session_log_begin(s);
	judge(s, false);
	s->secured = secured;
	settle();
	while (text.len > 0 && !ear.closed) {
		size_t n = piece_end(text, piece < text.len ? piece : text.len);
		say(slice_sub(text, 0, n));
		text = slice_from(text, n);
	}
	must(buffer_append(all, buffer_slice(&ear.heard)));
	ear_close();
	while (world.owed) {
		uint64_t request = world.owed;
		world.owed = 0;
		answer(request, true);
		settle();
	}
	must(TAILQ_EMPTY(&sessions) && connections == 0);
	settle();
	must(!world.child);
}

/* +OK and -ERR, and what follows a +OK of many lines; all of them lines of text. */
static size_t look_at_replies(struct slice all)
{
	size_t lines = 0;
	must(all.len == 0 || slice_starts(all, SLICE("+OK ")));
	for (; all.len > 0; lines++) {
		size_t lf = slice_find(all, '\n');
		if (lf == all.len)
			return lines; /* a session that was cut within a message */
		must(lf > 0 && all.ptr[lf - 1] == '\r');
		all = slice_from(all, lf + 1);
	}
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct buffer text, whole, pieces;
	static bool begun;
	if (!begun)
		build_world();
	begun = true;
	if (size < 2 || !(in = slice_from(in, 2), decisions_take(&in)))
		return 0;
	world.lied = false;
	expand(in, &text);
	buffer_init(&whole, HEARD_MAX);
	buffer_init(&pieces, HEARD_MAX);
	converse(buffer_slice(&text), data[0] & 1, text.len + 1, &whole);
	if (look_at_replies(buffer_slice(&whole)) < MOST_REPLIES &&
	    text.len / (data[1] + 1U) < MOST_REPLIES) {
		decided = 0;
		converse(buffer_slice(&text), data[0] & 1, data[1] + 1U, &pieces);
		if (!world.lied)
			same(&whole, &pieces);
	}
	buffer_free(&text);
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
