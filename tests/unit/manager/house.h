/*
 * house: the queue manager as a process of its own, in its sandbox, on a real spool. The test is
 * all of its neighbours: master, writer (the real one), router, resolver, the agents, bounce,
 * control. Those of smtp are started with the manager; those of local by the test. Included once
 * per test program, whose main() begins with house_main().
 */
#ifndef TESTS_UNIT_MANAGER_HOUSE_H
#define TESTS_UNIT_MANAGER_HOUSE_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/dialogue/bounce.h"
#include "common/dialogue/master.h"
#include "common/dialogue/queue.h"
#include "common/os/loop.h"
#include "common/wire/codec.h"
#include "queue/manager/manager.h"
#include "queue/store/writer.h"

enum {
	JOBS_SEEN_MAX = 4096,
	RECIPIENTS_SENT_MAX = 4000,
	ITEMS_SEEN_MAX = 64,
	REPORTS_SEEN_MAX = 64,
	WAIT_SECONDS = 15,
	NOBODY = 65534,
	AGENT_MOST = 400,
};

static const struct record *const house_settings[] = {
    &settings_limits_record, &settings_retry_record,  &settings_deliver_record,
    &settings_server_record, &settings_domain_record, NULL,
};

static const struct service_link house_links[] = {
    {"smtpd", &writer_dialogue, writer_routes, writers_up, writers_down},
    {"router", &router_dialogue, router_routes, routes_up, routes_down},
    {"resolver", &resolver_dialogue, resolver_routes, sites_up, sites_down},
    {"local", &job_dialogue, agent_routes, agents_up_local, agents_down},
    {"smtp", &job_dialogue, agent_routes, agents_up_smtp, agents_down},
    {"local-system", &job_dialogue, agent_routes, agents_up_system, agents_down},
    {"bounce", &bounce_dialogue, bounce_routes, reports_up, reports_down},
    {"control", &queue_dialogue, admin_routes, admin_up, admin_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service house_service = {
    .name = "queue",
    .links = house_links,
    .settings = house_settings,
    .settings_begin = manager_settings_begin,
    .setting = manager_setting,
    .settings_end = manager_settings_end,
    .descriptor = manager_descriptor,
    .warm = manager_warm,
    .start = manager_start,
    .drain = manager_drain,
    .orphaned = manager_orphaned,
};

/* A recipient of a job that an agent was given. */
struct seen {
	uint64_t message;
	uint32_t recipient, attempt;
	unsigned agent;
	size_t start; /* of the job: number of its first one */
	char user[65], address[321], next_hop[200], destination[200];
	size_t content; /* octets of it that came in the packet */
	bool again, answered, noted;
};

/* What bounce was asked to tell. */
struct told {
	uint64_t request, parent;
	uint32_t mark, kind, promised;
	char to[321], text[401];
	char actions[256]; /* of the recipients: Failed, Delivered, Relayed */
	uint32_t count;
	size_t content;
	bool ended;
	uint64_t made; /* its notification */
};

static struct house {
	char path[64];
	int dir;
	pid_t pid;
	struct channel *master, *smtpd, *router, *resolver, *bounce, *agents[AGENTS], *control;
	int log;
	bool ready, drained;
	struct settings_limits limits;
	struct settings_retry retry;
	bool system_users;
	/* writer */
	struct writer *writer;
	uint64_t last_id, drawn; /* drawn: the next message's, before a manager's death */
	size_t committed, refused, full_told;
	bool full;
	const char *sender;	   /* of mail; NULL: a@b.example */
	const char *hold, *user;   /* of mail; NULL: none */
	uint32_t notify;	   /* of its recipients */
	const struct told *forged; /* what a taken-over smtpd's mail claims to tell */
	/* bounce */
	struct writer *bounce_writer;
	struct told reports[REPORTS_SEEN_MAX];
	size_t report_count;
	bool reports_at_once; /* else the test answers */
	/* router */
	size_t questions;
	bool router_silent;
	char last_question[321]; /* its recipient */
	/* resolver */
	size_t site_questions;
	bool resolver_silent;
	uint32_t site_ttl;
	/* agents */
	struct seen jobs[JOBS_SEEN_MAX];
	size_t job_count;
	uint32_t more; /* recipients of the last job that are still to come */
	bool delivers; /* at once; else the test answers */
	/* control */
	struct {
		uint64_t id;
		char state[33], remark[401], user[321];
		uint32_t attempts;
	} items[ITEMS_SEEN_MAX];
	size_t item_count, recipient_count;
	char statuses[256]; /* of the recipients: first letters; D is delivered, d deferred */
	struct queue_counts counts;
	struct queue_destination destination; /* the last; its texts: */
	char destination_key[201], destination_reply[441];
	uint64_t asked, done_request, done_count;
	uint32_t done_code;
	size_t dones;
} house;

/* For main(): the process is the queue manager itself. */
static inline int house_main(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], "queue") == 0 ? service_run(&house_service, 1, argv)
							  : -1;
}

/* A loop until something has come true. */

static bool (*house_wanted)(void);
static const char *awaited_state; /* of run_until_state(); NULL: another wait */

static inline void house_look(void *arg)
{
	(void)arg;
	if (house_wanted())
		loop_stop();
}

static inline void house_print_log(void)
{
	char packet[65536];
	ssize_t n;
	while ((n = recv(house.log, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			fputc(packet[i] >= ' ' && packet[i] < 127 ? packet[i] : '\n', stderr);
}

/* Is there a line in the log with that? Takes what was logged so far. */
static inline bool house_logged(const char *text)
{
	static char packet[65536];
	bool found = false;
	ssize_t n;
	while ((n = recv(house.log, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		found |= memmem(packet, (size_t)n, text, strlen(text)) != NULL;
	return found;
}

static inline void house_late(void *arg)
{
	(void)arg;
	house_print_log();
	ck_abort_msg("it did not come about: %s, not %s",
		     house.item_count ? house.items[0].state : "-",
		     awaited_state ? awaited_state : "-");
}

static inline void run_until(bool (*wanted)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0};
	house_wanted = wanted;
	loop_turn_add(&turn, house_look, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), house_late, NULL);
	loop_run();
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

static inline void house_ignore(struct channel *c)
{
	(void)c;
}

/* Master */

static inline void on_ready(struct channel *c, const void *record)
{
	(void)c, (void)record;
	house.ready = true;
}

static inline void on_drained(struct channel *c, const void *record)
{
	(void)c, (void)record;
	house.drained = true;
}

static inline void on_lost(struct channel *c, const void *record)
{
	(void)c, (void)record;
}

static const struct route master_routes[] = {
    {MASTER_READY, ROUTE_ALWAYS, on_ready},
    {MASTER_DRAINED, ROUTE_ALWAYS, on_drained},
    {MASTER_LOST, ROUTE_ALWAYS, on_lost},
    {0, 0, NULL},
};

static inline bool is_ready(void)
{
	return house.ready;
}

static inline bool is_drained(void)
{
	return house.drained;
}

static inline void send_setting(const struct record *record, const void *value)
{
	struct buffer b;
	struct master_setting m = {.record = slice_str(record->name)};
	buffer_init(&b, SETTINGS_MAX);
	ck_assert(codec_encode(record, value, &b));
	m.value = buffer_slice(&b);
	ck_assert(channel_send(house.master, MASTER_SETTING, &m));
	buffer_free(&b);
}

static inline void send_settings(void)
{
	struct master_settings_begin begin = {1};
	struct master_settings_end end = {1};
	struct settings_server server = {.hostname = SLICE("mx.example"),
					 .origin = SLICE("trial.example")};
	struct settings_domain domain = {.number = 1, .name = SLICE("trial.example")};
	channel_send(house.master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_limits_record, &house.limits);
	send_setting(&settings_retry_record, &house.retry);
	send_setting(&settings_server_record, &server);
	send_setting(&settings_domain_record, &domain);
	if (house.system_users) {
		struct settings_deliver d = {
		    .number = 1, .domain = 1, .kind = SLICE("system-mbox")};
		send_setting(&settings_deliver_record, &d);
	}
	channel_send(house.master, MASTER_SETTINGS_END, &end);
}

static inline void send_directory(const char *kind, int fd)
{
	struct master_descriptor m = {.kind = slice_str(kind), .name = SLICE("spool"), .fd = fd};
	ck_assert(channel_send(house.master, MASTER_DESCRIPTOR, &m));
}

static inline struct channel *link_peer(const char *peer, unsigned instance,
					const struct dialogue *d, const struct route *routes)
{
	int fds[2];
	struct master_link m = {.peer = slice_str(peer), .instance = instance};
	ck_assert(channel_pair(fds));
	m.fd = fds[1];
	ck_assert(channel_send(house.master, MASTER_LINK, &m));
	close(fds[1]);
	return channel_open(fds[0], d, routes, house_ignore, NULL);
}

static inline void house_spawn(void)
{
	int channel[2], log[2];
	ck_assert(channel_pair(channel) && channel_pair(log));
	house.pid = fork();
	ck_assert_int_ge(house.pid, 0);
	if (house.pid == 0) {
		dup2(channel[1], 20);
		dup2(log[1], 21);
		dup2(20, 3);
		dup2(21, 4);
		for (int fd = 5; fd < 64; fd++)
			close(fd);
		execl("/proc/self/exe", "queue", "queue", NULL);
		_exit(127);
	}
	close(channel[1]);
	close(log[1]);
	house.log = log[0];
	house.master =
	    channel_open(channel[0], &master_dialogue, master_routes, house_ignore, NULL);
}

/* Writer */

/* There are two: smtpd's, and bounce's, whose hooks have an argument. */
static inline void writer_send(void *arg, uint16_t number, const void *record)
{
	struct channel *c = arg ? house.bounce : house.smtpd;
	if (c)
		channel_send(c, number, record);
}

static inline struct writer *writer_at(const struct channel *c)
{
	return c == house.bounce ? house.bounce_writer : house.writer;
}

static inline void want_lease(void *arg, bool fresh)
{
	struct writer_want_lease m = {.fresh = fresh};
	writer_send(arg, WRITER_WANT_LEASE, &m);
}

static inline void want_file(void *arg)
{
	struct writer_want_file m = {.count = 1};
	writer_send(arg, WRITER_WANT_FILE, &m);
}

static inline void notice(void *arg, uint64_t lease, const struct writer_entry *entries,
			  size_t count)
{
	char octets[64 * WRITER_ENTRY_SIZE], *p = octets;
	struct writer_notice m = {.lease = lease};
	ck_assert_uint_le(count, 64);
	for (size_t i = 0; i < count; i++, p += WRITER_ENTRY_SIZE) {
		const struct writer_entry *e = &entries[i];
		put_u64(p, e->id);
		put_u64(p + 8, e->offset);
		put_u32(p + 16, e->length);
		put_u32(p + 20, e->ordinal);
		put_u64(p + 24, e->file);
		put_u32(p + 32, e->recipients);
		put_u32(p + 36, e->origin);
		memcpy(p + 40, e->digest, DIGEST_SIZE);
		put_u64(p + 72, e->parent);
		put_u32(p + 80, e->parent_mark);
		put_u32(p + 84, e->held ? WRITER_ENTRY_HELD : 0);
	}
	m.entries = slice_make(octets, count * WRITER_ENTRY_SIZE);
	writer_send(arg, WRITER_NOTICE, &m);
	/* Bounce says that it has done, after the notice. */
	for (size_t i = 0; arg && house.bounce && i < count; i++) {
		struct bounce_done done = {.id = entries[i].id};
		for (size_t k = 0; k < house.report_count; k++)
			if (house.reports[k].made == done.id)
				done.request = house.reports[k].request;
		channel_send(house.bounce, BOUNCE_DONE, &done);
	}
}

static inline void sealed(void *arg, uint64_t lease, uint32_t records, uint64_t end)
{
	struct writer_sealed m = {.lease = lease, .records = records, .end = end};
	writer_send(arg, WRITER_SEALED, &m);
}

static inline void failed(void *arg, uint64_t lease, uint32_t records, uint64_t end, int err)
{
	(void)arg, (void)lease, (void)records, (void)end, (void)err;
	ck_abort_msg("a commit failed");
}

static inline void abandoned(void *arg, uint64_t file)
{
	(void)arg, (void)file;
}

static inline void on_leased(struct channel *c, const void *record)
{
	const struct writer_leased *m = record;
	struct writer_lease lease = {.number = m->number,
				     .segment = m->segment,
				     .size = m->size,
				     .spool = m->spool,
				     .incarnation = m->incarnation};
	memcpy(lease.nonce, m->nonce.ptr, NONCE_SIZE);
	writer_take_lease(writer_at(c), &lease, m->fd);
}

static inline void on_filed(struct channel *c, const void *record)
{
	const struct writer_filed *m = record;
	writer_take_file(writer_at(c), m->number, (const uint8_t *)m->nonce.ptr, m->fd);
}

static inline void on_pressure(struct channel *c, const void *record)
{
	if (c == house.bounce)
		return;
	house.full = ((const struct writer_pressure *)record)->full;
	house.full_told++;
}

static const struct route smtpd_routes[] = {
    {WRITER_LEASED, ROUTE_ALWAYS, on_leased},
    {WRITER_FILED, ROUTE_ALWAYS, on_filed},
    {WRITER_PRESSURE, ROUTE_ALWAYS, on_pressure},
    {0, 0, NULL},
};

static inline bool is_writer_ready(void)
{
	return writer_state(house.writer) == WRITER_READY;
}

static inline void committed(void *arg, int err)
{
	(void)arg;
	house.committed += err == 0;
	house.refused += err != 0;
}

/* A message to user0@..., user1@... or to what is given; returns its queue id. */
static inline uint64_t send_mail(const char *const *to, uint32_t count, size_t size)
{
	static char body[200 * 1024], names[RECIPIENTS_SENT_MAX][32];
	static struct stored_recipient recipients[RECIPIENTS_SENT_MAX];
	struct draft *d;
	ck_assert_uint_le(size, sizeof(body));
	ck_assert_uint_le(count, RECIPIENTS_SENT_MAX);
	run_until(is_writer_ready);
	house.last_id = house.drawn ? house.drawn : writer_draw_id(house.writer);
	for (uint32_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "user%u@trial.example", i);
		recipients[i].address = slice_str(to ? to[i] : names[i]);
		recipients[i].notify = house.notify;
	}
	memset(body, 'b', sizeof(body));
	d = draft_new(house.writer, house.last_id);
	ck_assert_int_ne(draft_body(d, slice_make(body, size), NULL, NULL), DRAFT_FAILED);
	struct stored_message m = {.id = house.last_id,
				   .arrived = 1,
				   .content_size = size,
				   .reverse_path =
				       slice_str(house.sender ? house.sender : "a@b.example"),
				   .client = SLICE("192.0.2.1"),
				   .trace = SLICE("Received: x\r\n"),
				   .header = SLICE("Subject: y\r\n"),
				   .recipients = recipients,
				   .recipient_count = count,
				   .hold = slice_str(house.hold ? house.hold : ""),
				   .user = slice_str(house.user ? house.user : ""),
				   .parent = house.forged ? house.forged->parent : 0,
				   .parent_mark = house.forged ? house.forged->mark : 0,
				   .parent_kind = house.forged ? house.forged->kind : 0};
	draft_commit(&d, &m, committed, NULL);
	return house.last_id;
}

static inline uint64_t send_to(const char *address)
{
	return send_mail(&address, 1, 100);
}

/* Bounce */

static inline void bounce_done(const struct told *t, uint64_t id, bool spoiled)
{
	struct bounce_done m = {
	    .request = t->request, .id = id, .spoiled = spoiled, .text = SLICE("not now")};
	ck_assert(channel_send(house.bounce, BOUNCE_DONE, &m));
}

static inline void notified(void *arg, int err)
{
	(void)arg;
	ck_assert_int_eq(err, 0);
}

static inline bool is_bounce_ready(void)
{
	return writer_state(house.bounce_writer) == WRITER_READY;
}

/* Its notification, with the null sender, to who is told. */
static inline uint64_t bounce_make(struct told *t)
{
	static struct stored_recipient recipient;
	uint64_t id = writer_draw_id(house.bounce_writer);
	struct draft *d = draft_new(house.bounce_writer, id);
	struct stored_message m = {.id = id,
				   .arrived = 1,
				   .parent = t->parent,
				   .parent_mark = t->mark,
				   .parent_kind = t->kind,
				   .header = SLICE("Subject: returned\r\n"),
				   .content_size = 19,
				   .recipients = &recipient,
				   .recipient_count = 1};
	recipient.address = slice_str(t->to);
	t->made = id;
	draft_commit(&d, &m, notified, t);
	return id;
}

static inline struct told *told_of(uint64_t request)
{
	for (size_t i = house.report_count; i-- > 0;)
		if (house.reports[i].request == request)
			return &house.reports[i];
	ck_abort_msg("a report that was not begun");
}

static inline void on_report(struct channel *c, const void *record)
{
	const struct bounce_start *m = record;
	struct told *t = &house.reports[house.report_count++];
	(void)c;
	ck_assert_uint_lt(house.report_count, REPORTS_SEEN_MAX);
	*t = (struct told){.request = m->request,
			   .parent = m->parent,
			   .mark = m->mark,
			   .kind = m->kind,
			   .promised = m->recipients,
			   .content = m->header.len + m->body.len};
	slice_copy(m->to, t->to, sizeof(t->to));
	if (m->fd >= 0)
		close(m->fd);
}

static inline void on_report_recipient(struct channel *c, const void *record)
{
	const struct bounce_recipient *m = record;
	struct told *t = told_of(m->request);
	(void)c;
	if (t->count < sizeof(t->actions) - 1)
		t->actions[t->count] = " FDRE"[m->action];
	t->count++;
	slice_copy(m->text, t->text, sizeof(t->text));
}

static inline void on_report_end(struct channel *c, const void *record)
{
	struct told *t = told_of(((const struct bounce_end *)record)->request);
	(void)c;
	ck_assert_uint_eq(t->count, t->promised);
	t->ended = true;
	if (house.reports_at_once)
		bounce_make(t);
}

static const struct route bounce_side[] = {
    {WRITER_LEASED, ROUTE_ALWAYS, on_leased},
    {WRITER_FILED, ROUTE_ALWAYS, on_filed},
    {WRITER_PRESSURE, ROUTE_ALWAYS, on_pressure},
    {BOUNCE_START, ROUTE_ALWAYS, on_report},
    {BOUNCE_RECIPIENT, ROUTE_ALWAYS, on_report_recipient},
    {BOUNCE_END, ROUTE_ALWAYS, on_report_end},
    {0, 0, NULL},
};

static inline void bounce_start(void)
{
	house.bounce = link_peer("bounce", 0, &bounce_dialogue, bounce_side);
	writer_found(house.bounce_writer);
	run_until(is_bounce_ready);
}

static inline void bounce_kill(void)
{
	channel_free(&house.bounce);
	writer_lost(house.bounce_writer);
}

/* Router: what an address leads to, by its local part at trial.example, else by its domain:
 *	X.example	MX hosts of X.example; a.site.example and b.site.example have the same
 *	fixed.example	[relay.example]:25
 *	chain.example	chain.example [relay.example]:25
 *	system.example	the machine's users
 */

static inline void route_to(uint64_t request, struct slice address, bool none)
{
	struct slice domain = slice_from(address, slice_find(address, '@') + 1);
	struct router_delivery d = {.request = request,
				    .address = address,
				    .transport = none ? SLICE("none") : SLICE("smtp"),
				    .next_hop = domain};
	if (slice_equal(domain, SLICE("trial.example")) && !none)
		d.transport = SLICE("local");
	if (slice_equal(domain, SLICE("system.example")))
		d.transport = SLICE("system");
	if (slice_equal(domain, SLICE("fixed.example")))
		d.next_hop = SLICE("[relay.example]:25");
	if (slice_equal(domain, SLICE("chain.example")))
		d.next_hop = SLICE("chain.example:26 [relay.example]:25");
	if (!slice_equal(d.transport, SLICE("smtp"))) {
		d.deliver = 1;
		d.next_hop = SLICE_EMPTY;
		d.user = slice_sub(address, 0, slice_find(address, '@'));
		d.domain = domain;
	}
	ck_assert(channel_send(house.router, ROUTER_DELIVERY, &d));
}

static inline void on_question(struct channel *c, const void *record)
{
	const struct router_ask *m = record;
	struct router_routed end = {.request = m->request};
	struct slice user = slice_sub(m->recipient, 0, slice_find(m->recipient, '@'));
	unsigned members;
	char name[32];
	house.questions++;
	slice_copy(m->recipient, house.last_question, sizeof(house.last_question));
	if (house.router_silent)
		return;
	slice_copy(user, name, sizeof(name));
	if (sscanf(name, "list%u", &members) == 1) {
		for (unsigned i = 0; i < members; i++) {
			snprintf(name, sizeof(name), "member%u@trial.example", i);
			route_to(m->request, slice_str(name), false);
		}
	} else if (slice_equal(user, SLICE("half"))) {
		route_to(m->request, SLICE("bob@trial.example"), false);
		route_to(m->request, SLICE("later@trial.example"), true);
	} else if (slice_equal(user, SLICE("unknown"))) {
		end.code = 550;
		end.enhanced = SLICE("5.1.1");
		end.text = SLICE("User unknown");
	} else if (slice_equal(user, SLICE("later"))) {
		end.code = 451;
		end.enhanced = SLICE("4.3.0");
		end.text = SLICE("later");
	} else if (!slice_equal(user, SLICE("nowhere"))) {
		route_to(m->request, m->recipient, false);
	}
	ck_assert(channel_send(c, ROUTER_ROUTED, &end));
}

static const struct route router_side[] = {{ROUTER_ASK, ROUTE_ALWAYS, on_question}, {0, 0, NULL}};

/* Resolver: X.site.example have the site mx.site.example; nowhere.example does not exist;
 * later.example can't be looked up now; X else has mx.X. */

static inline void on_site_question(struct channel *c, const void *record)
{
	const struct resolve_site *m = record;
	struct resolve_site_answer a = {.request = m->request, .ttl = house.site_ttl};
	char site[300];
	house.site_questions++;
	if (house.resolver_silent)
		return;
	snprintf(site, sizeof(site), "mx.%.*s", SLICE_FMT(m->domain));
	if (slice_ends_fold(m->domain, SLICE(".site.example")))
		snprintf(site, sizeof(site), "mx.site.example");
	if (slice_equal(m->domain, SLICE("nowhere.example")) ||
	    slice_equal(m->domain, SLICE("chain.example"))) {
		a.code = 550;
		a.enhanced = SLICE("5.4.4");
		a.text = SLICE("no such domain");
	} else if (slice_equal(m->domain, SLICE("later.example"))) {
		a.code = 451;
		a.enhanced = SLICE("4.4.3");
		a.text = SLICE("SERVFAIL");
	} else
		a.site = slice_str(site);
	ck_assert(channel_send(c, RESOLVE_SITE_ANSWER, &a));
}

static const struct route resolver_side[] = {{RESOLVE_SITE, ROUTE_ALWAYS, on_site_question},
					     {0, 0, NULL}};

/* Agents */

static inline void answer(struct seen *j, enum job_status status, uint32_t code, bool site)
{
	struct job_outcome o = {.message = j->message,
				.recipient = j->recipient,
				.attempt = j->attempt,
				.status = status,
				.code = code,
				.enhanced =
				    status == JOB_DELIVERED ? SLICE("2.0.0") : SLICE("4.2.0"),
				.text = SLICE("as told"),
				.site = site};
	j->answered = true;
	ck_assert(channel_send(house.agents[j->agent], JOB_OUTCOME, &o));
}

static inline unsigned agent_number(const struct channel *c)
{
	for (unsigned i = 0; i < AGENTS; i++)
		if (house.agents[i] == c)
			return i;
	ck_abort_msg("no agent of ours");
}

static inline struct seen *see(struct channel *c, uint64_t message, uint32_t recipient,
			       uint32_t attempt, struct slice address)
{
	struct seen *j = &house.jobs[house.job_count++];
	ck_assert_uint_lt(house.job_count, JOBS_SEEN_MAX);
	*j = (struct seen){.message = message,
			   .recipient = recipient,
			   .attempt = attempt,
			   .agent = agent_number(c),
			   .start = house.job_count - 1};
	slice_copy(address, j->address, sizeof(j->address));
	return j;
}

static inline void on_job(struct channel *c, const void *record)
{
	const struct job_start *m = record;
	struct seen *j = see(c, m->message, m->recipient, m->attempt, m->address);
	j->content = m->header.len + m->body.len;
	j->again = m->again;
	slice_copy(m->user, j->user, sizeof(j->user));
	slice_copy(m->next_hop, j->next_hop, sizeof(j->next_hop));
	slice_copy(m->destination, j->destination, sizeof(j->destination));
	house.more = m->more;
	if (m->fd >= 0)
		close(m->fd);
	if (house.delivers)
		answer(j, JOB_DELIVERED, 250, false);
}

static inline void on_more(struct channel *c, const void *record)
{
	const struct job_more *m = record;
	struct seen *before = &house.jobs[house.job_count - 1], *j;
	ck_assert_uint_gt(house.more, 0);
	house.more--;
	ck_assert_uint_eq(m->message, before->message);
	j = see(c, m->message, m->recipient, m->attempt, m->address);
	j->start = before->start;
	if (house.delivers)
		answer(j, JOB_DELIVERED, 250, false);
}

static inline void on_noted(struct channel *c, const void *record)
{
	const struct job_noted *m = record;
	(void)c;
	for (size_t i = 0; i < house.job_count; i++)
		if (house.jobs[i].message == m->message &&
		    house.jobs[i].recipient == m->recipient && house.jobs[i].attempt == m->attempt)
			house.jobs[i].noted = true;
}

static const struct route agent_side[] = {
    {JOB_START, ROUTE_ALWAYS, on_job},
    {JOB_MORE, ROUTE_ALWAYS, on_more},
    {JOB_NOTED, ROUTE_ALWAYS, on_noted},
    {0, 0, NULL},
};

/* An agent that has just been started; it holds what the caller tells before agent_told(). */
static inline void agent_link(unsigned agent)
{
	static const struct {
		const char *peer;
		unsigned instance;
	} places[AGENTS] = {
	    {"local", 0}, {"local", 1}, {"smtp", 0}, {"smtp", 1}, {"local-system", 0}};
	house.agents[agent] =
	    link_peer(places[agent].peer, places[agent].instance, &job_dialogue, agent_side);
}

static inline void agent_told(unsigned agent)
{
	struct job_holding_end end = {.most = AGENT_MOST};
	ck_assert(channel_send(house.agents[agent], JOB_HOLDING_END, &end));
}

static inline void agent_start(unsigned agent)
{
	agent_link(agent);
	agent_told(agent);
}

static inline void agent_kill(unsigned agent)
{
	channel_free(&house.agents[agent]);
}

static inline void agent_again(unsigned agent)
{
	agent_kill(agent);
	agent_start(agent);
}

static inline void agents_start(void)
{
	agent_start(AGENT_LOCAL);
	agent_start(AGENT_LOCAL_SUSPECTS);
}

/* Control */

static inline void on_item(struct channel *c, const void *record)
{
	const struct queue_item *m = record;
	(void)c;
	ck_assert_uint_lt(house.item_count, ITEMS_SEEN_MAX);
	house.items[house.item_count].id = m->id;
	house.items[house.item_count].attempts = m->attempts;
	slice_copy(m->state, house.items[house.item_count].state, 33);
	slice_copy(m->remark, house.items[house.item_count].remark, 401);
	slice_copy(m->user, house.items[house.item_count].user, 321);
	house.item_count++;
}

static inline void on_recipient(struct channel *c, const void *record)
{
	const struct queue_recipient *m = record;
	(void)c;
	if (house.recipient_count < sizeof(house.statuses) - 1)
		house.statuses[house.recipient_count] =
		    slice_equal(m->status, SLICE("delivered")) ? 'D' : m->status.ptr[0];
	house.recipient_count++;
}

static inline void on_line(struct channel *c, const void *record)
{
	(void)c, (void)record;
}

static inline void on_destination(struct channel *c, const void *record)
{
	const struct queue_destination *m = record;
	(void)c;
	house.destination = *m;
	slice_copy(m->key, house.destination_key, sizeof(house.destination_key));
	slice_copy(m->reply, house.destination_reply, sizeof(house.destination_reply));
}

static inline void on_counts(struct channel *c, const void *record)
{
	(void)c;
	house.counts = *(const struct queue_counts *)record;
}

static inline void on_done(struct channel *c, const void *record)
{
	const struct queue_done *m = record;
	(void)c;
	house.dones++;
	house.done_request = m->request;
	house.done_code = m->code;
	house.done_count = m->count;
}

static const struct route control_side[] = {
    {QUEUE_ITEM, ROUTE_ALWAYS, on_item},
    {QUEUE_RECIPIENT, ROUTE_ALWAYS, on_recipient},
    {QUEUE_LINE, ROUTE_ALWAYS, on_line},
    {QUEUE_COUNTS, ROUTE_ALWAYS, on_counts},
    {QUEUE_DONE, ROUTE_ALWAYS, on_done},
    {QUEUE_DESTINATION, ROUTE_ALWAYS, on_destination},
    {0, 0, NULL},
};

static inline bool is_done(void)
{
	return house.done_request == house.asked;
}

/* Returns how many were listed or changed. */
static inline uint64_t ask_so(struct queue_ask m)
{
	m.request = ++house.asked;
	house.item_count = house.recipient_count = 0;
	memset(house.statuses, 0, sizeof(house.statuses));
	ck_assert(channel_send(house.control, QUEUE_ASK, &m));
	run_until(is_done);
	return house.done_count;
}

/* About one message, or all (id 0). */
static inline uint64_t ask(enum queue_verb verb, uint64_t id)
{
	return ask_so((struct queue_ask){.verb = verb, .id = id, .all = id == 0});
}

static inline uint64_t ask_user(enum queue_verb verb, const char *user)
{
	return ask_so((struct queue_ask){.verb = verb, .user = slice_str(user)});
}

/* The state of a message; "" when it is not there. */
static inline const char *state_of(uint64_t id)
{
	return ask(QUEUE_LIST, id) == 1 ? house.items[0].state : "";
}

static uint64_t awaited_id;
static struct loop_timer ask_again;
static bool asking;

static inline void ask_state(void *arg)
{
	struct queue_ask m = {.request = ++house.asked, .verb = QUEUE_LIST, .id = awaited_id};
	(void)arg;
	house.item_count = house.recipient_count = 0;
	memset(house.statuses, 0, sizeof(house.statuses));
	ck_assert(channel_send(house.control, QUEUE_ASK, &m));
	asking = true;
}

static inline bool has_state(void)
{
	if (asking && is_done()) {
		asking = false;
		if (strcmp(house.done_count == 1 ? house.items[0].state : "", awaited_state) == 0)
			return true;
		loop_timer_start(&ask_again, 10000, ask_state, NULL);
	}
	return false;
}

static inline void run_until_state(uint64_t id, const char *state)
{
	awaited_id = id;
	awaited_state = state;
	ask_state(NULL);
	run_until(has_state);
}

/* Life */

static inline void house_link_neighbours(void)
{
	house.smtpd = link_peer("smtpd", 0, &writer_dialogue, smtpd_routes);
	house.router = link_peer("router", 0, &router_dialogue, router_side);
	house.resolver = link_peer("resolver", 0, &resolver_dialogue, resolver_side);
	house.control = link_peer("control", 0, &queue_dialogue, control_side);
}

/* The manager's life begins; agents are started by the test. */
static inline void house_begin(void)
{
	struct master_go go = {1};
	struct master_begin begin = {
	    .role = SLICE("queue"), .one_uid = getuid() != 0, .uid = NOBODY, .gid = NOBODY};
	house.ready = house.drained = false;
	house_spawn();
	ck_assert(channel_send(house.master, MASTER_BEGIN, &begin));
	send_directory("empty", house.dir);
	send_directory("directory", house.dir);
	send_settings();
	house_link_neighbours();
	channel_send(house.master, MASTER_GO, &go);
	if (house.writer)
		writer_found(house.writer);
	run_until(is_ready);
	agent_start(AGENT_SMTP);
	agent_start(AGENT_SMTP_SUSPECTS);
}

static inline void house_end(void)
{
	int status;
	kill(house.pid, SIGKILL);
	waitpid(house.pid, &status, 0);
	if (house.writer)
		writer_lost(house.writer);
	channel_free(&house.smtpd);
	channel_free(&house.router);
	channel_free(&house.control);
	channel_free(&house.resolver);
	if (house.bounce)
		bounce_kill();
	for (unsigned i = 0; i < AGENTS; i++)
		channel_free(&house.agents[i]);
	channel_free(&house.master);
	close(house.log);
}

/* A spool, and nobody yet. */
static inline void house_prepare(void)
{
	static const struct writer_hooks hooks = {want_lease, want_file, notice, sealed,
						  failed,     abandoned, NULL};
	static struct writer_hooks bounce_hooks;
	bounce_hooks = hooks;
	bounce_hooks.arg = &house.bounce;
	memset(&house, 0, sizeof(house));
	house.limits = (struct settings_limits){.queue_messages = 100000};
	house.retry = (struct settings_retry){.first = 100000,
					      .longest = 100000,
					      .give_up = UINT64_C(3600) * 1000000,
					      .give_up_bounces = UINT64_C(3600) * 1000000};
	snprintf(house.path, sizeof(house.path), "/tmp/stagepost-manager-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(house.path));
	house.dir = open(house.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (getuid() == 0)
		ck_assert_int_eq(fchown(house.dir, NOBODY, NOBODY), 0);
	house.site_ttl = 3600;
	house.writer = writer_new(&hooks);
	house.bounce_writer = writer_new(&bounce_hooks);
}

static inline void house_setup(void)
{
	house_prepare();
	house_begin();
	agents_start();
}

static inline void house_teardown(void)
{
	char command[96];
	house_end();
	writer_free(&house.writer);
	writer_free(&house.bounce_writer);
	close(house.dir);
	snprintf(command, sizeof(command), "rm -rf %s", house.path);
	ck_assert_int_eq(system(command), 0);
}

/* What tests wait for. */

static size_t wanted_jobs;

static inline bool has_jobs(void)
{
	return house.job_count >= wanted_jobs;
}

static inline struct seen *job(size_t number)
{
	wanted_jobs = number + 1;
	run_until(has_jobs);
	return &house.jobs[number];
}

static size_t wanted_questions;

static inline bool has_questions(void)
{
	return house.questions >= wanted_questions;
}

/* The router was asked so often. */
static inline void run_until_questions(size_t count)
{
	wanted_questions = count;
	run_until(has_questions);
}

static size_t wanted_reports;

static inline bool has_reports(void)
{
	return house.report_count >= wanted_reports && house.reports[wanted_reports - 1].ended;
}

/* The report that bounce is asked for so many times. */
static inline struct told *report(size_t number)
{
	wanted_reports = number + 1;
	run_until(has_reports);
	return &house.reports[number];
}

static inline bool is_noted(void)
{
	return house.jobs[wanted_jobs - 1].noted;
}

static inline void run_until_noted(const struct seen *j)
{
	wanted_jobs = (size_t)(j - house.jobs) + 1;
	run_until(is_noted);
}

#endif
