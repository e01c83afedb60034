/*
 * jobs: the daemon's life and its talk with the queue manager. A child process runs it for real, in
 * its sandbox; the test is master and manager.
 */
#include <signal.h>
#include <sys/wait.h>

#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/os/loop.h"
#include "daemons/local/jobs.h"
#include "daemons/local/statements.h"
#include "daemons/local/virtual.h"
#include "tests/unit/local/tree.h"
#include "tests/unit/service/begun.h"

enum { SEEN_MAX = 2048, WAIT_SECONDS = 20 };

static const struct record *const settings[] = {&settings_server_record, &settings_deliver_record,
						NULL};
static const struct service_link links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service local = {
    .name = "local",
    .links = links,
    .settings = settings,
    .settings_begin = statements_settings_begin,
    .setting = statements_setting,
    .settings_end = statements_settings_end,
    .descriptor = statements_descriptor,
    .warm = virtual_warm,
    .start = virtual_start,
    .drain = jobs_drain,
};

/* What the manager has seen. */
static struct seen {
	uint64_t message;
	uint32_t attempt, status, code;
	char enhanced[16], text[JOB_TEXT_MAX + 1];
} outcomes[SEEN_MAX], holdings[SEEN_MAX];
static size_t outcome_count, holding_count, end_count, told_at_end, until_outcomes;
static uint32_t most;
static struct channel *manager;

static void on_outcome(struct channel *c, const void *record)
{
	const struct job_outcome *m = record;
	struct seen *s = &outcomes[outcome_count++];
	(void)c;
	ck_assert_uint_lt(outcome_count, SEEN_MAX);
	*s = (struct seen){
	    .message = m->message, .attempt = m->attempt, .status = m->status, .code = m->code};
	ck_assert(slice_copy(m->enhanced, s->enhanced, sizeof(s->enhanced)));
	ck_assert(slice_copy(m->text, s->text, sizeof(s->text)));
}

static void on_holding(struct channel *c, const void *record)
{
	const struct job_holding *m = record;
	(void)c;
	holdings[holding_count++] = (struct seen){.message = m->message, .attempt = m->attempt};
}

static void on_holding_end(struct channel *c, const void *record)
{
	(void)c;
	end_count++;
	told_at_end = holding_count + outcome_count;
	most = ((const struct job_holding_end *)record)->most;
}

static const struct route manager_routes[] = {
    {JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
    {JOB_HOLDING, ROUTE_ALWAYS, on_holding},
    {JOB_HOLDING_END, ROUTE_ALWAYS, on_holding_end},
    {0, 0, NULL},
};

static bool has_ended(void)
{
	return end_count > 0;
}

static bool has_outcomes(void)
{
	return outcome_count >= until_outcomes;
}

static bool has_died(void)
{
	return !channel_alive(master);
}

static bool (*awaited)(void);

static void check(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void run_until(bool (*condition)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0};
	awaited = condition;
	loop_turn_add(&turn, check, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	loop_run();
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

static void send_settings(uint64_t generation, uint32_t number)
{
	struct master_settings_begin begin = {generation};
	struct master_settings_end end = {generation};
	struct settings_server server = {.hostname = SLICE("mx.example")};
	struct settings_deliver deliver = {.number = number,
					   .kind = SLICE("maildir"),
					   .base = slice_str(tree_base),
					   .path = SLICE("%d/%n")};
	struct settings_deliver other = deliver;
	other.number = number + 1;
	other.base = SLICE("/not/there");
	channel_send(master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_server_record, &server);
	send_setting(&settings_deliver_record, &deliver);
	send_setting(&settings_deliver_record, &other);
	channel_send(master, MASTER_SETTINGS_END, &end);
}

static void link_manager(void)
{
	outcome_count = holding_count = end_count = 0;
	manager = link_peer("queue", &job_dialogue, manager_routes);
}

static void send_directory(const char *kind, const char *path, int fd)
{
	struct master_descriptor m = {.kind = slice_str(kind), .name = slice_str(path), .fd = fd};
	ck_assert(channel_send(master, MASTER_DESCRIPTOR, &m));
}

static void send_tree(void)
{
	char path[TREE_PATH_SIZE];
	snprintf(path, sizeof(path), "%s/empty", tree_path);
	ck_assert_int_eq(mkdir(path, 0555), 0);
	if (getuid() == 0)
		ck_assert_int_eq(fchown(tree_dir, NOBODY, NOBODY), 0);
	send_place("local", NOBODY, open(path, O_RDONLY | O_DIRECTORY));
	send_directory("directory", tree_base, tree_dir);
}

static void setup(void)
{
	struct master_go go = {1};
	tree_setup();
	begin_daemon(&local);
	send_tree();
	send_settings(1, 3);
	link_manager();
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
	run_until(has_ended);
}

static void teardown(void)
{
	end_daemon();
	channel_free(&manager);
	tree_teardown();
}

static struct job_start start_of(uint64_t message, const char *user)
{
	return (struct job_start){.message = message,
				  .recipient = 1,
				  .attempt = 1,
				  .sender = SLICE("s@d"),
				  .address = SLICE("b@d"),
				  .original = SLICE("b@d"),
				  .deliver = 3,
				  .user = slice_str(user),
				  .domain = SLICE("example.org"),
				  .trace = SLICE("Received: us\r\n"),
				  .header = SLICE("Subject: x\r\n"),
				  .body = SLICE("\r\nHello\r\n"),
				  .fd = -1};
}

static void start(const struct job_start *m)
{
	ck_assert(channel_send(manager, JOB_START, m));
}

static void note(uint64_t message)
{
	struct job_noted m = {message, 1, 1};
	ck_assert(channel_send(manager, JOB_NOTED, &m));
}

static void run_until_outcomes(size_t count)
{
	until_outcomes = count;
	run_until(has_outcomes);
}

START_TEST(a_job_is_delivered_from_within_the_sandbox)
{
	struct job_start m = start_of(77, "bob");
	struct buffer b;
	ck_assert_uint_eq(holding_count, 0);
	ck_assert_uint_eq(most, JOBS_MOST);
	start(&m);
	run_until_outcomes(1);
	ck_assert_msg(outcomes[0].status == JOB_DELIVERED, "%s", outcomes[0].text);
	ck_assert_uint_eq(outcomes[0].message, 77);
	ck_assert_uint_eq(outcomes[0].code, 250);
	ck_assert_str_eq(outcomes[0].enhanced, "2.0.0");
	ck_assert_str_eq(outcomes[0].text, "delivered to maildir");
	buffer_init(&b, TREE_FILE_MAX);
	tree_read("example.org/bob", &b);
	ck_assert(slice_equal(buffer_slice(&b), SLICE("Return-Path: <s@d>\nDelivered-To: b@d\n"
						      "Received: us\nSubject: x\n\nHello\n")));
	buffer_free(&b);
}
END_TEST

START_TEST(a_large_file_is_delivered_and_its_descriptor_closed)
{
	enum { SIZE = 200000 };
	static char body[SIZE];
	struct stored_file f;
	struct job_start m = start_of(1, "bob");
	struct buffer b;
	memset(body, 'x', SIZE);
	m.fd = tree_large(SLICE("Subject: large\r\n"), slice_make(body, SIZE), &f);
	m.header = m.body = SLICE_EMPTY;
	m.file = f.number;
	m.file_nonce = slice_make(f.nonce, NONCE_SIZE);
	m.file_digest = slice_make(f.digest, DIGEST_SIZE);
	m.body_offset = f.body_offset;
	m.body_length = f.body_length;
	m.header_offset = f.header_offset;
	m.header_length = f.header_length;
	start(&m);
	m.message = 2;
	f.digest[0] ^= 1;
	start(&m);
	m.message = 3; /* without its nonce */
	m.file_nonce = SLICE_EMPTY;
	start(&m);
	run_until_outcomes(3);
	close(m.fd);
	for (int i = 0; i < 3; i++) {
		const struct seen *s = &outcomes[i];
		ck_assert_uint_eq(s->status, ((const uint32_t[]){0, JOB_DELIVERED, JOB_SPOILED,
								 JOB_DEFERRED})[s->message]);
	}
	buffer_init(&b, TREE_FILE_MAX);
	tree_read("example.org/bob", &b);
	ck_assert_uint_gt(b.len, SIZE);
	buffer_free(&b);
}
END_TEST

static const struct {
	const char *user;
	const char *domain;
	uint32_t deliver, code;
	const char *enhanced;
} refused[] = {
    {"../bob", "example.org", 3, 553, "5.1.3"}, {"..", "example.org", 3, 553, "5.1.3"},
    {".bob", "example.org", 3, 553, "5.1.3"},	{"a/b", "example.org", 3, 553, "5.1.3"},
    {"bob", "../x", 3, 553, "5.1.3"},		{"bob", "example.org", 9, 451, "4.3.5"},
    {"bob", "example.org", 4, 451, "4.2.1"}, /* its base is not there */
};

START_TEST(what_names_no_mailbox_is_refused)
{
	struct job_start m = start_of(5, refused[_i].user);
	m.domain = slice_str(refused[_i].domain);
	m.deliver = refused[_i].deliver;
	start(&m);
	run_until_outcomes(1);
	ck_assert_uint_eq(outcomes[0].code, refused[_i].code);
	ck_assert_str_eq(outcomes[0].enhanced, refused[_i].enhanced);
	ck_assert_uint_eq(tree_count(".", "."), 0);
}
END_TEST

START_TEST(outcomes_are_kept_until_they_are_noted)
{
	struct job_start m;
	for (uint64_t i = 1; i <= 3; i++) {
		m = start_of(i, "bob");
		start(&m);
	}
	run_until_outcomes(3);
	start(&m); /* held: ignored */
	note(2);
	m = start_of(4, "bob"); /* its outcome shows that what was sent before it was read */
	start(&m);
	run_until_outcomes(4);
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(holding_count, 0);
	ck_assert_uint_eq(told_at_end, 3);
	ck_assert_uint_eq(outcomes[0].message + outcomes[1].message + outcomes[2].message,
			  1 + 3 + 4);
	ck_assert_uint_eq(outcomes[0].status, JOB_DELIVERED);
	ck_assert_uint_eq(tree_count("example.org/bob", "new"), 4);
}
END_TEST

/* What is under way is told, goes on, and its outcome comes on the fresh channel. */
START_TEST(deliveries_go_on_when_the_manager_dies)
{
	enum { JOBS = 300 };
	bool told[JOBS + 1] = {false};
	for (uint64_t i = 1; i <= JOBS; i++) {
		struct job_start m = start_of(i, i % 3 ? "bob" : "alice");
		start(&m);
	}
	run_until_outcomes(1); /* they came in one packet */
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(told_at_end, JOBS);
	run_until_outcomes(JOBS);
	for (size_t i = 0; i < outcome_count; i++) {
		ck_assert_uint_eq(outcomes[i].status, JOB_DELIVERED);
		ck_assert(!told[outcomes[i].message]);
		told[outcomes[i].message] = true;
	}
	ck_assert_uint_eq(outcome_count, JOBS);
	ck_assert_uint_eq(tree_count("example.org/bob", "new"), JOBS - JOBS / 3);
	ck_assert_uint_eq(tree_count("example.org/alice", "new"), JOBS / 3);
}
END_TEST

START_TEST(a_new_set_of_settings_serves_the_next_job)
{
	struct job_start m = start_of(1, "bob");
	struct master_go go = {2};
	send_settings(2, 8);
	ready = false;
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
	start(&m);
	m.message = 2;
	m.deliver = 8;
	start(&m);
	run_until_outcomes(2);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(outcomes[i].status,
				  outcomes[i].message == 2 ? JOB_DELIVERED : JOB_DEFERRED);
}
END_TEST

START_TEST(a_drain_finishes_what_is_under_way)
{
	enum { JOBS = 100 };
	struct master_drain drain = {10000000};
	int status = -1;
	for (uint64_t i = 1; i <= JOBS; i++) {
		struct job_start m = start_of(i, "bob");
		start(&m);
	}
	run_until_outcomes(1); /* they came in one packet */
	channel_send(master, MASTER_DRAIN, &drain);
	run_until(has_died);
	ck_assert(drained);
	run_until_outcomes(tree_count("example.org/bob", "new"));
	ck_assert_uint_eq(tree_count("example.org/bob", "tmp"), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int main(void)
{
	Suite *s = suite_create("jobs");
	TCase *tc = tcase_create("jobs");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_job_is_delivered_from_within_the_sandbox);
	tcase_add_test(tc, a_large_file_is_delivered_and_its_descriptor_closed);
	tcase_add_loop_test(tc, what_names_no_mailbox_is_refused, 0, COUNT(refused));
	tcase_add_test(tc, outcomes_are_kept_until_they_are_noted);
	tcase_add_test(tc, deliveries_go_on_when_the_manager_dies);
	tcase_add_test(tc, a_new_set_of_settings_serves_the_next_job);
	tcase_add_test(tc, a_drain_finishes_what_is_under_way);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
