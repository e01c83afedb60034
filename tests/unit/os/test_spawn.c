/* spawn: a program gets what it is given, and nothing else. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/spawn.h"

#define STRING(s) ((char[]){s})

static char said[4096];

/* Runs a shell script whose descriptor `number` is a pipe to us; what it said is in `said`. */
static int run(const char *script, int number, struct spawn_fd extra)
{
	int fds[2];
	struct error e;
	char *argv[] = {STRING("sh"), STRING("-c"), (char *)script, NULL};
	char *environment[] = {STRING("ONE=1"), STRING("PATH=/usr/bin:/bin"), NULL};
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	struct spawn_fd given[] = {{fds[1], number}, extra};
	struct spawn s = {.path = "/bin/sh",
			  .argv = argv,
			  .environment = environment,
			  .fds = given,
			  .fd_count = extra.number < 0 ? 1 : 2};
	pid_t pid = spawn_start(&s, &e);
	ck_assert_int_gt(pid, 0);
	close(fds[1]);
	size_t len = 0;
	ssize_t n;
	while ((n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(fds[0]);
	int state;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	return state;
}

static const struct spawn_fd nothing = {-1, -1};

START_TEST(only_the_given_descriptors_are_open)
{
	int stray = dup(1), high = fcntl(1, F_DUPFD, 300);
	ck_assert_int_ge(stray, 0);
	ck_assert_int_ge(high, 0);
	/* exec: ls itself then has just one more, the directory it reads */
	run("exec ls /proc/self/fd >&7", 7, nothing);
	ck_assert_str_eq(said, "0\n1\n2\n3\n7\n");
}
END_TEST

START_TEST(standard_descriptors_are_null_unless_given)
{
	run("a=$(readlink /proc/$$/fd/0) b=$(readlink /proc/$$/fd/1) c=$(readlink /proc/$$/fd/2)\n"
	    "echo $a $b $c >&5",
	    5, nothing);
	ck_assert_str_eq(said, "/dev/null /dev/null /dev/null\n");
}
END_TEST

START_TEST(standard_output_may_be_given)
{
	run("echo hello; cat", 1, nothing);
	ck_assert_str_eq(said, "hello\n");
}
END_TEST

START_TEST(numbers_that_cross_are_all_right)
{
	int fds[2];
	char c = 0;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	/* ours for number 3 goes to another number, and another goes to ours */
	run("echo first >&3; printf 2 >&4", fds[1] == 3 ? 4 : 3,
	    (struct spawn_fd){fds[1], fds[1] == 3 ? 3 : 4});
	ck_assert_str_eq(said, fds[1] == 3 ? "2" : "first\n");
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(the_environment_is_the_given_one)
{
	setenv("SECRET", "1", 1);
	run("exec env >&3", 3, nothing);
	ck_assert_str_eq(said, "ONE=1\nPATH=/usr/bin:/bin\nPWD=/\n");
}
END_TEST

START_TEST(it_leads_a_session_of_its_own_at_the_root)
{
	run("test \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ && pwd >&3; umask >&3", 3, nothing);
	ck_assert_str_eq(said, "/\n0077\n");
}
END_TEST

START_TEST(ignored_and_blocked_signals_are_default_again)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	run("grep -E 'Sig(Ign|Blk)' /proc/self/status | tr -d '\\t' >&3", 3, nothing);
	ck_assert_str_eq(said, "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 1); /* ours is as before */
	ck_assert_int_eq(sigismember(&now, SIGINT), 0);
}
END_TEST

START_TEST(batch_is_the_policy_of_the_program_and_not_ours)
{
	struct error e;
	char *argv[] = {STRING("sleep"), STRING("20"), NULL};
	char *environment[] = {STRING("ONE=1"), NULL};
	struct spawn s = {
	    .path = "/bin/sleep", .argv = argv, .environment = environment, .batch = true};
	pid_t pid = spawn_start(&s, &e);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(sched_getscheduler(pid), SCHED_BATCH);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(a_program_that_can_t_start_is_told_with_its_errno)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {{"/no/such/program", ENOENT}, {"/etc/passwd", EACCES}, {"/tmp", EACCES}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *argv[] = {STRING("x"), NULL};
		char *environment[] = {STRING("ONE=1"), NULL};
		struct error e = {.code = 0};
		struct spawn s = {.path = cases[i].path, .argv = argv, .environment = environment};
		ck_assert_int_eq(spawn_start(&s, &e), -1);
		ck_assert_int_eq(e.code, cases[i].code);
		ck_assert_ptr_nonnull(strstr(e.text, cases[i].path));
		ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
		ck_assert_int_eq(errno, ECHILD);
	}
}
END_TEST

START_TEST(a_bad_descriptor_is_refused)
{
	char *argv[] = {STRING("true"), NULL};
	char *environment[] = {STRING("ONE=1"), NULL};
	struct spawn_fd bad = {987, 3};
	struct error e = {.code = 0};
	struct spawn s = {.path = "/bin/true",
			  .argv = argv,
			  .environment = environment,
			  .fds = &bad,
			  .fd_count = 1};
	ck_assert_int_eq(spawn_start(&s, &e), -1);
	ck_assert_int_eq(e.code, EBADF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spawn");
	TCase *tc = tcase_create("spawn");
	tcase_add_test(tc, only_the_given_descriptors_are_open);
	tcase_add_test(tc, standard_descriptors_are_null_unless_given);
	tcase_add_test(tc, standard_output_may_be_given);
	tcase_add_test(tc, numbers_that_cross_are_all_right);
	tcase_add_test(tc, the_environment_is_the_given_one);
	tcase_add_test(tc, it_leads_a_session_of_its_own_at_the_root);
	tcase_add_test(tc, ignored_and_blocked_signals_are_default_again);
	tcase_add_test(tc, batch_is_the_policy_of_the_program_and_not_ours);
	tcase_add_test(tc, a_program_that_can_t_start_is_told_with_its_errno);
	tcase_add_test(tc, a_bad_descriptor_is_refused);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
