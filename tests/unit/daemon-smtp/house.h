/*
 * The daemon as a child process, for real and in its sandbox; the test is its master, its queue
 * manager and its resolver. Included once per test program.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/config/settings.h"
#include "common/dialogue/resolver.h"
#include "daemons/smtp/smtp.h"
#include "queue/store/format.h"
#include "queue/store/twin.h"
#include "tests/unit/daemon-smtp/servers.h"
#include "tests/unit/service/begun.h"

enum { SEEN_MAX = 4096, WAIT_SECONDS = 20 };

static const struct record *const settings[] = {&settings_server_record, &settings_timeouts_record,
						NULL};
static const struct service_link links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {"resolver", &resolver_dialogue, lookup_routes, lookup_up, lookup_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service smtp = {
    .name = "smtp",
    .links = links,
    .settings = settings,
    .settings_begin = smtp_settings_begin,
    .setting = smtp_setting,
    .settings_end = smtp_settings_end,
    .warm = jobs_warm,
    .start = jobs_start,
    .drain = jobs_drain,
};

/* What the manager has seen. */
static struct seen {
	uint64_t message;
	uint32_t recipient, attempt, status, code;
	bool site, dsn, tls;
	uint64_t setup_us, transfer_us;
	char enhanced[16], text[JOB_TEXT_MAX + 1], relay[JOB_RELAY_MAX + 1];
} outcomes[SEEN_MAX], holdings[SEEN_MAX];
static size_t outcome_count, holding_count, end_count, until_outcomes, questions;
static struct channel *manager, *resolver;

static inline void on_outcome(struct channel *c, const void *record)
{
	const struct job_outcome *m = record;
	struct seen *s = &outcomes[outcome_count++];
	(void)c;
	ck_assert_uint_lt(outcome_count, SEEN_MAX);
	*s = (struct seen){.message = m->message,
			   .recipient = m->recipient,
			   .attempt = m->attempt,
			   .status = m->status,
			   .code = m->code,
			   .site = m->site,
			   .dsn = m->dsn,
			   .tls = m->tls,
			   .setup_us = m->setup_us,
			   .transfer_us = m->transfer_us};
	ck_assert(slice_copy(m->enhanced, s->enhanced, sizeof(s->enhanced)));
	ck_assert(slice_copy(m->text, s->text, sizeof(s->text)));
	ck_assert(slice_copy(m->relay, s->relay, sizeof(s->relay)));
}

static inline void on_holding(struct channel *c, const void *record)
{
	const struct job_holding *m = record;
	(void)c;
	holdings[holding_count++] = (struct seen){.message = m->message, .attempt = m->attempt};
}

static inline void on_holding_end(struct channel *c, const void *record)
{
	(void)c, (void)record;
	end_count++;
}

static const struct route manager_routes[] = {
    {JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
    {JOB_HOLDING, ROUTE_ALWAYS, on_holding},
    {JOB_HOLDING_END, ROUTE_ALWAYS, on_holding_end},
    {0, 0, NULL},
};

/* "m1.test" has host 1, "m23.test" hosts 2 and 3 in that order, of which the first is the best (5
 * is another address of 2); others are answered with the code at their front: "550.test". */
static inline void on_hosts(struct channel *c, const void *record)
{
	const struct resolve_hosts *m = record;
	struct resolve_done done = {.request = m->request};
	char address[64], host[64];
	questions++;
	for (size_t i = 1; m->name.ptr[0] == 'm' && i < m->name.len && m->name.ptr[i] != '.'; i++) {
		int n = m->name.ptr[i] - '0';
		snprintf(address, sizeof(address), "127.0.0.%d", n);
		snprintf(host, sizeof(host), "mx%d.test", n == 5 ? 2 : n);
		struct resolve_address a = {.request = m->request,
					    .host = slice_str(host),
					    .address = slice_str(address),
					    .preference = (uint32_t)i,
					    .best = i == 1};
		channel_send(c, RESOLVE_ADDRESS, &a);
	}
	if (m->name.ptr[0] != 'm') {
		done.code = (uint32_t)atoi(m->name.ptr);
		done.enhanced = done.code < 500 ? SLICE("4.4.3") : SLICE("5.4.4");
		done.text = SLICE("no such host");
	}
	done.site = m->mx ? m->name : SLICE_EMPTY;
	channel_send(c, RESOLVE_DONE, &done);
}

static const struct route resolver_routes[] = {
    {RESOLVE_HOSTS, ROUTE_ALWAYS, on_hosts},
    {0, 0, NULL},
};

static inline bool is_drained(void)
{
	return drained;
}

static inline bool has_ended(void)
{
	return end_count > 0;
}

static inline bool has_outcomes(void)
{
	return outcome_count >= until_outcomes;
}

static bool (*awaited)(void);

static inline void check(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
}

static inline void tick(void *arg)
{
	loop_timer_start(arg, 1000, tick, arg);
}

static inline void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about; %zu outcomes", outcome_count);
}

static inline void run_until(bool (*condition)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0}, ticker = {0};
	awaited = condition;
	loop_turn_add(&turn, check, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	tick(&ticker);
	loop_run();
	loop_timer_stop(&timer);
	loop_timer_stop(&ticker);
	loop_turn_remove(&turn);
}

static inline void run_until_outcomes(size_t count)
{
	until_outcomes = count;
	run_until(has_outcomes);
}

static inline void send_settings(void)
{
	struct settings_server server = {.hostname = SLICE("us.test")};
	/* as they are when nothing is said of them (conf/stagepost.conf.5) */
	struct settings_timeouts timeouts = {.connect = 30 * CLOCK_SECOND,
					     .greeting = 300 * CLOCK_SECOND,
					     .hello = 300 * CLOCK_SECOND,
					     .starttls = 120 * CLOCK_SECOND,
					     .mail = 300 * CLOCK_SECOND,
					     .rcpt = 300 * CLOCK_SECOND,
					     .data = 120 * CLOCK_SECOND,
					     .block = 180 * CLOCK_SECOND,
					     .dot = 600 * CLOCK_SECOND,
					     .reset = 60 * CLOCK_SECOND};
	struct master_settings_begin begin = {1};
	struct master_settings_end end = {1};
	channel_send(master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_server_record, &server);
	send_setting(&settings_timeouts_record, &timeouts);
	channel_send(master, MASTER_SETTINGS_END, &end);
}

static inline void link_manager(void)
{
	outcome_count = holding_count = end_count = 0;
	manager = link_peer("queue", &job_dialogue, manager_routes);
}

static inline void link_resolver(void)
{
	resolver = link_peer("resolver", &resolver_dialogue, resolver_routes);
}

static char empty_path[] = "/tmp/test-smtp-XXXXXX";

static inline void house_begin(void)
{
	struct master_go go = {1};
	begin_daemon(&smtp);
	ck_assert_ptr_nonnull(mkdtemp(empty_path));
	send_place("smtp", NOBODY, open(empty_path, O_RDONLY | O_DIRECTORY));
	send_settings();
	link_manager();
	link_resolver();
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
	run_until(has_ended);
}

static inline void house_end(void)
{
	end_daemon();
	channel_free(&manager);
	channel_free(&resolver);
	rmdir(empty_path);
	memcpy(empty_path + strlen(empty_path) - 6, "XXXXXX", 6);
}

/* A small message from s@a.test to r1@b.test. */
static inline struct job_start job_of(uint64_t message, const char *next_hop)
{
	return (struct job_start){.message = message,
				  .recipient = 1,
				  .attempt = 1,
				  .sender = SLICE("s@a.test"),
				  .address = SLICE("r1@b.test"),
				  .original = SLICE("o1@b.test"),
				  .next_hop = slice_str(next_hop),
				  .destination = slice_str(next_hop),
				  .trace = SLICE("Received: us\r\n"),
				  .header = SLICE("Subject: x\r\n"),
				  .body = SLICE("\r\nHello\r\n"),
				  .fd = -1};
}

static inline void start(const struct job_start *m)
{
	ck_assert(channel_send(manager, JOB_START, m));
}

/* The same to r1@b.test ... rN@b.test. */
static inline void start_to(struct job_start m, uint32_t count)
{
	char address[64], original[64];
	m.more = count - 1;
	start(&m);
	for (uint32_t i = 2; i <= count; i++) {
		struct job_more more = {
		    .message = m.message, .recipient = i, .attempt = 1, .notify = m.notify};
		snprintf(address, sizeof(address), "r%u@b.test", i);
		snprintf(original, sizeof(original), "o%u@b.test", i);
		more.address = slice_str(address);
		more.original = slice_str(original);
		ck_assert(channel_send(manager, JOB_MORE, &more));
	}
}

static inline void note(uint64_t message, uint32_t recipient)
{
	struct job_noted m = {message, recipient, 1};
	ck_assert(channel_send(manager, JOB_NOTED, &m));
}

/* The outcome of that recipient. */
static inline const struct seen *outcome_of(uint64_t message, uint32_t recipient)
{
	for (size_t i = 0; i < outcome_count; i++)
		if (outcomes[i].message == message && outcomes[i].recipient == recipient)
			return &outcomes[i];
	ck_abort_msg("no outcome of %u", recipient);
}

/* "[127.0.0.1]:PORT [127.0.0.2]:PORT ..." of so many servers. */
static inline const char *hops(unsigned count)
{
	static char text[400];
	int len = 0;
	for (unsigned i = 0; i < count; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s[127.0.0.%u]:%u",
				i ? " " : "", i + 1, server_port);
	return text;
}

/* "NAME:PORT". */
static inline const char *mx(const char *name)
{
	static char text[100];
	snprintf(text, sizeof(text), "%s:%u", name, server_port);
	return text;
}
