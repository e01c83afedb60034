/*
 * answer: the daemon's life as accounts-system. A child process runs it for real, with its fork
 * server and the machine's user database; the test is master and accounts.
 */
#include <check.h>
#include <fcntl.h>
#include <nss.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/dialogue/accounts.h"
#include "common/dialogue/master.h"
#include "common/os/loop.h"
#include "common/os/user.h"
#include "daemons/accounts-system/answer.h"
#include "daemons/accounts-system/children.h"

enum { WAIT_SECONDS = 40, SEEN_MAX = 2048, DAEMON = 65534 };

static const struct service_link links[] = {
    {"accounts", &accounts_dialogue, answer_routes, answer_up, answer_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service accounts_system = {
    .name = "accounts-system",
    .links = links,
    .warm = children_warm,
    .start = children_start,
};

static struct seen {
	uint32_t result, uid, gid, groups;
	char home[256], text[400];
	bool there;
} answers[SEEN_MAX];
static size_t answer_count, until;
static bool ready;
static struct channel *master, *channel;
static pid_t pid;
static int log_fd;

static void on_ready(struct channel *c, const void *record)
{
	(void)c, (void)record;
	ready = true;
	loop_stop();
}

static void ignore_record(struct channel *c, const void *record)
{
	(void)c, (void)record;
}

static const struct route master_routes[] = {
    {MASTER_READY, ROUTE_ALWAYS, on_ready},
    {MASTER_LOST, ROUTE_ALWAYS, ignore_record},
    {0, 0, NULL},
};

static void on_answer(struct channel *c, const void *record)
{
	const struct accounts_answer *m = record;
	struct seen *s = &answers[m->request];
	(void)c;
	ck_assert_uint_lt(m->request, SEEN_MAX);
	ck_assert(!s->there);
	*s = (struct seen){.there = true,
			   .result = m->result,
			   .uid = m->uid,
			   .gid = m->gid,
			   .groups = (uint32_t)m->groups.len / 4};
	ck_assert(slice_copy(m->home, s->home, sizeof(s->home)));
	ck_assert(slice_copy(m->text, s->text, sizeof(s->text)));
	if (++answer_count == until)
		loop_stop();
}

static const struct route routes[] = {
    {ACCOUNTS_ANSWER, ROUTE_ALWAYS, on_answer},
    {ACCOUNTS_PASSWORD_ANSWER, ROUTE_ALWAYS, on_answer},
    {0, 0, NULL},
};

static void ignore_close(struct channel *c)
{
	(void)c;
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void run(void)
{
	struct loop_timer timer = {0};
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	loop_run();
	loop_timer_stop(&timer);
}

static void link_accounts(void)
{
	int fds[2];
	struct master_link m = {.peer = SLICE("accounts")};
	ck_assert(channel_pair(fds));
	m.fd = fds[1];
	ck_assert(channel_send(master, MASTER_LINK, &m));
	close(fds[1]);
	channel = channel_open(fds[0], &accounts_dialogue, routes, ignore_close, NULL);
}

static void begin_daemon(void)
{
	int ends[2], log[2];
	char *argv[] = {(char[]){"stagepost: accounts-system with room for its title"}, NULL};
	ck_assert(channel_pair(ends) && channel_pair(log));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(ends[1], 20);
		dup2(log[1], 21);
		dup2(20, 3);
		dup2(21, 4);
		for (int fd = 5; fd < 64; fd++)
			close(fd);
		_exit(service_run(&accounts_system, 1, argv));
	}
	close(ends[1]);
	close(log[1]);
	log_fd = log[0];
	master = channel_open(ends[0], &master_dialogue, master_routes, ignore_close, NULL);
}

static void setup(void)
{
	char path[] = "/tmp/test-accounts-XXXXXX";
	struct master_begin begin = {.role = SLICE("accounts-system"),
				     .one_uid = !user_is_root(),
				     .uid = DAEMON,
				     .gid = DAEMON};
	struct master_descriptor empty = {.kind = SLICE("empty"), .name = SLICE("empty")};
	struct master_go go = {1};
	struct master_settings_begin settings = {1};
	struct master_settings_end end = {1};
	memset(answers, 0, sizeof(answers));
	answer_count = 0;
	ck_assert_ptr_nonnull(mkdtemp(path));
	begin_daemon();
	ck_assert(channel_send(master, MASTER_BEGIN, &begin));
	channel_send(master, MASTER_SETTINGS_BEGIN, &settings);
	channel_send(master, MASTER_SETTINGS_END, &end);
	empty.fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert(channel_send(master, MASTER_DESCRIPTOR, &empty));
	close(empty.fd);
	link_accounts();
	channel_send(master, MASTER_GO, &go);
	if (!ready)
		run();
	ck_assert_int_eq(rmdir(path), 0);
}

static void teardown(void)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	channel_free(&channel);
	channel_free(&master);
	close(log_fd);
}

static void ask(uint64_t request, const char *user)
{
	struct accounts_ask m = {
	    .request = request, .users = SLICE("system"), .user = slice_str(user)};
	ck_assert(channel_send(channel, ACCOUNTS_ASK, &m));
}

static void run_until(size_t count)
{
	until = count;
	if (answer_count < count)
		run();
}

START_TEST(a_user_is_known_with_numbers_groups_and_home)
{
	const struct passwd *mail = getpwnam("mail");
	ask(1, "mail");
	run_until(1);
	ck_assert_uint_eq(answers[1].result, ACCOUNTS_KNOWN);
	ck_assert_uint_eq(answers[1].uid, mail->pw_uid);
	ck_assert_uint_eq(answers[1].gid, mail->pw_gid);
	ck_assert_str_eq(answers[1].home, mail->pw_dir);
	ck_assert_uint_ge(answers[1].groups, 1);
}
END_TEST

START_TEST(who_is_not_there_or_root_is_missing)
{
	static const char *const names[] = {"no-such-user", "root", "-x", "a/b", "", "Mail"};
	size_t count = sizeof(names) / sizeof(names[0]);
	for (size_t i = 0; i < count; i++)
		ask(i, names[i]);
	run_until(count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(answers[i].result == ACCOUNTS_MISSING && answers[i].uid == 0, "%s",
			      names[i]);
}
END_TEST

static void ask_password(uint64_t request, const char *pam, const char *user, const char *password)
{
	struct accounts_password m = {.request = request,
				      .pam = slice_str(pam),
				      .user = slice_str(user),
				      .client = SLICE("192.0.2.1"),
				      .password = slice_str(password)};
	ck_assert(channel_send(channel, ACCOUNTS_PASSWORD, &m));
}

/* Who has a password, and logs in with it, is in tests/journeys/test_login.py. */
START_TEST(a_password_that_does_not_hold_is_missing)
{
	static const struct {
		const char *pam, *user, *password;
	} cases[] = {
	    {"login", "mail", "wrong"},	  {"login", "no-such-user", "wrong"},
	    {"login", "root", "wrong"},	  {"login", "mail", ""},
	    {"../login", "mail", "x"},	  {"", "mail", "x"},
	    {"/etc/passwd", "mail", "x"}, {"login", "-x", "x"},
	};
	size_t count = sizeof(cases) / sizeof(cases[0]);
	if (!user_is_root())
		return; /* PAM reads no shadow for others */
	for (size_t i = 0; i < count; i++)
		ask_password(i, cases[i].pam, cases[i].user, cases[i].password);
	run_until(count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(answers[i].result == ACCOUNTS_MISSING && answers[i].uid == 0,
			      "%s %s: %u %s", cases[i].pam, cases[i].user, answers[i].result,
			      answers[i].text);
}
END_TEST

START_TEST(passwords_leave_room_for_look_ups)
{
	for (uint64_t i = 1; i <= 3 * CHILDREN_PASSWORDS; i++)
		ask_password(i, "login", "mail", "wrong");
	ask(100, "mail");
	run_until(3 * CHILDREN_PASSWORDS + 1);
	ck_assert_uint_eq(answers[100].result, ACCOUNTS_KNOWN);
}
END_TEST

START_TEST(many_questions_have_an_answer_each)
{
	char name[32];
	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "no-user-%u", (unsigned)i % 100);
		ask(i, i % 2 ? "mail" : name);
	}
	run_until(1000);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(answers[i].result, i % 2 ? ACCOUNTS_KNOWN : ACCOUNTS_MISSING);
}
END_TEST

START_TEST(questions_of_a_former_accounts_are_not_answered_to_the_next)
{
	ask(1, "mail");
	channel_flush(channel, 1000000);
	channel_free(&channel);
	link_accounts();
	ask(2, "no-such-user");
	run_until(1);
	ck_assert(answers[2].there && !answers[1].there);
	ask(3, "mail");
	run_until(2);
	ck_assert(answers[3].there && !answers[1].there);
}
END_TEST

/* Hesiod is a database of users in the DNS. Without its file it can't answer, and says ENOENT. */
static void setup_with_trouble(void)
{
	__nss_configure_lookup("passwd", "files hesiod");
	setup();
}

START_TEST(S55_a_database_that_can_not_answer_is_no_miss)
{
	ask(1, "no-such-user");
	ask(2, "mail");
	run_until(2);
	ck_assert_uint_eq(answers[1].result, ACCOUNTS_TROUBLE);
	ck_assert_ptr_nonnull(strstr(answers[1].text, "can't be looked up"));
	ck_assert_uint_eq(answers[2].result, ACCOUNTS_KNOWN);
	ask(3, "no-such-user"); /* asked anew */
	run_until(3);
	ck_assert_uint_eq(answers[3].result, ACCOUNTS_TROUBLE);
}
END_TEST

/* A pipe that nobody writes to in the place of the users' file, for this process and its children.
 */
static bool hanging;

static void setup_with_hang(void)
{
	char path[] = "/tmp/test-passwd-XXXXXX", fifo[64];
	ck_assert_ptr_nonnull(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	ck_assert_int_eq(mkfifo(fifo, 0644), 0);
	__nss_configure_lookup("passwd", "files");
	hanging = unshare(CLONE_NEWNS) == 0 &&
		  mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		  mount(fifo, "/etc/passwd", NULL, MS_BIND, NULL) == 0;
	unlink(fifo);
	rmdir(path);
	setup();
}

START_TEST(a_look_up_that_hangs_is_trouble_and_is_ended)
{
	if (!hanging) {
		printf("no right to mount: a look-up that hangs was not tried\n");
		return;
	}
	for (unsigned i = 0; i < CHILDREN_MOST + 2; i++) { /* the last two wait for a place */
		char name[16];
		snprintf(name, sizeof(name), "user%u", i);
		ask(i, name);
	}
	run_until(CHILDREN_MOST);
	for (unsigned i = 0; i < CHILDREN_MOST; i++)
		ck_assert_uint_eq(answers[i].result, ACCOUNTS_TROUBLE);
	ck_assert_int_eq(umount2("/etc/passwd", MNT_DETACH), 0);
	run_until(CHILDREN_MOST + 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("answer");
	TCase *tc = tcase_create("answer"), *trouble = tcase_create("trouble");
	TCase *hang = tcase_create("hang");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_user_is_known_with_numbers_groups_and_home);
	tcase_add_test(tc, who_is_not_there_or_root_is_missing);
	tcase_add_test(tc, a_password_that_does_not_hold_is_missing);
	tcase_add_test(tc, passwords_leave_room_for_look_ups);
	tcase_add_test(tc, many_questions_have_an_answer_each);
	tcase_add_test(tc, questions_of_a_former_accounts_are_not_answered_to_the_next);
	suite_add_tcase(s, tc);
	tcase_set_timeout(trouble, 60);
	tcase_add_checked_fixture(trouble, setup_with_trouble, teardown);
	tcase_add_test(trouble, S55_a_database_that_can_not_answer_is_no_miss);
	suite_add_tcase(s, trouble);
	tcase_set_timeout(hang, 60);
	tcase_add_checked_fixture(hang, setup_with_hang, teardown);
	tcase_add_test(hang, a_look_up_that_hangs_is_trouble_and_is_ended);
	suite_add_tcase(s, hang);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
