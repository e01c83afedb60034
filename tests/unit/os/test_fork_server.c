/* fork_server: children on request, what they have and what they have not. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/fork_server.h"
#include "common/os/loop.h"
#include "common/os/process.h"
#include "common/os/sandbox.h"
#include "common/os/user.h"

enum { SOMEBODY = 60123, MORE = 60124, CHILDREN = 3, WAIT_US = 20000000 };

static struct sandbox_program *program;
static struct fork_server *server;
static struct {
	uint32_t number;
	int fd, error, status;
	bool ended;
} seen[16];
static size_t seen_count;
static uint32_t awaited;
static bool awaited_end;

static bool begin(struct error *e)
{
	program = sandbox_compile(sandbox_find("local-child"), e);
	return program != NULL;
}

/* Does what it is asked, and says how it went in one octet. */
static void child(struct slice request, int fd, int given)
{
	char answer = '?', c;
	struct error e;
	if (slice_equal(request, SLICE("given"))) {
		struct stat here, there;
		bool good = fstat(given, &here) == 0 && stat("/proc", &there) == 0 &&
			    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
		for (int i = 3; good && i < 256; i++)
			good = (i == fd || i == given) == (fcntl(i, F_GETFD) >= 0);
		answer = good ? 'y' : 'n';
	} else if (slice_equal(request, SLICE("descriptors"))) {
		answer = 0;
		for (int i = 3; i < 256; i++)
			if (i != fd && fcntl(i, F_GETFD) >= 0)
				answer++;
	} else if (slice_equal(request, SLICE("root"))) {
		struct user_account a = {.uid = 0, .gid = 0};
		answer = user_become_account(&a, 0, &e) ? 'y' : 'n';
	} else if (slice_equal(request, SLICE("become"))) {
		struct user_account a = {
		    .uid = SOMEBODY, .gid = SOMEBODY, .groups = {SOMEBODY + 9}, .group_count = 1};
		bool good =
		    user_become_account(&a, MORE, &e) && sandbox_enter_compiled(program, &e);
		good =
		    good && getuid() == SOMEBODY && setuid(0) < 0 && fork() < 0 && errno == EPERM;
		good = good && setresgid((gid_t)-1, MORE, (gid_t)-1) == 0 && getegid() == MORE;
		good = good && setresgid((gid_t)-1, SOMEBODY, (gid_t)-1) == 0;
		good = good && setresgid((gid_t)-1, 0, (gid_t)-1) < 0;
		answer = good ? 'y' : 'n';
	} else if (slice_equal(request, SLICE("abort"))) {
		if (!sandbox_enter_compiled(program, &e))
			_exit(1);
		abort();
	} else if (slice_equal(request, SLICE("file"))) {
		answer = open("/root", O_RDONLY) < 0 ? 'n' : 'y';
	} else if (slice_equal(request, SLICE("bound"))) {
		(void)!write(fd, sandbox_enter_compiled(program, &e) ? "y" : "n", 1);
		for (;;)
			poll(NULL, 0, -1);
	} else if (slice_equal(request, SLICE("busy"))) {
		(void)!write(fd, "y", 1);
		for (;;)
			poll(NULL, 0, -1);
	} else if (slice_equal(request, SLICE("stopped"))) {
		(void)!write(fd, "y", 1);
		raise(SIGSTOP);
		_exit(read(fd, &c, 1) < 0);
	} else if (slice_equal(request, SLICE("wait"))) {
		if (read(fd, &c, 1) < 0)
			_exit(2);
		_exit(7);
	}
	(void)!write(fd, &answer, 1);
}

static const struct fork_plan plan = {
    .title = "test forks",
    .role = "test",
    .capabilities = (1U << CAP_SETUID) | (1U << CAP_SETGID) | (1U << CAP_KILL),
    .most = CHILDREN,
    .begin = begin,
    .child = child,
};

static size_t place_of(uint32_t number)
{
	size_t i = 0;
	while (i < seen_count && seen[i].number != number)
		i++;
	ck_assert_uint_lt(i, 16);
	if (i == seen_count)
		seen[seen_count++].number = number;
	return i;
}

static void made(uint32_t number, int fd, int error)
{
	size_t i = place_of(number);
	seen[i].fd = fd;
	seen[i].error = error;
	if (number == awaited && !awaited_end)
		loop_stop();
}

static void ended(uint32_t number, int status)
{
	size_t i = place_of(number);
	seen[i].ended = true;
	seen[i].status = status;
	if (number == awaited && awaited_end)
		loop_stop();
}

static const struct fork_calls calls = {made, ended};

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static size_t wait_for(uint32_t number, bool end)
{
	struct loop_timer timer = {0};
	size_t i = place_of(number);
	awaited = number;
	awaited_end = end;
	loop_timer_start(&timer, WAIT_US, late, NULL);
	if (!(end ? seen[i].ended : seen[i].fd != 0))
		loop_run();
	loop_timer_stop(&timer);
	return i;
}

static void setup(void)
{
	struct error e = {0};
	seen_count = 0;
	memset(seen, 0, sizeof(seen));
	server = fork_server_start(&plan, &e);
	ck_assert_msg(server != NULL, "%s", e.text);
	fork_server_listen(server, &calls);
}

static void teardown(void)
{
	fork_server_free(&server);
	loop_forget();
}

/* One child's answer to its request. */
static char ask_giving(const char *request, int give)
{
	uint32_t number = fork_server_make(server, slice_str(request), give);
	char answer = '!';
	ck_assert_uint_gt(number, 0);
	size_t i = wait_for(number, false);
	ck_assert_int_gt(seen[i].fd, 0);
	struct pollfd p = {.fd = seen[i].fd, .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, WAIT_US / 1000), 1);
	ck_assert_int_eq(read(seen[i].fd, &answer, 1), 1);
	wait_for(number, true);
	ck_assert_int_eq(seen[i].status, 0);
	close(seen[i].fd);
	return answer;
}

static char ask(const char *request)
{
	return ask_giving(request, -1);
}

START_TEST(a_child_has_its_socket_and_no_other_descriptor)
{
	ck_assert_int_eq(ask("descriptors"), 0);
}
END_TEST

/* And the next one has none of it. */
START_TEST(a_child_has_what_it_was_given)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ask_giving("given", fd), 'y');
	ck_assert_int_eq(fcntl(fd, F_GETFD), 0);
	close(fd);
	ck_assert_int_eq(ask("given"), 'n');
	ck_assert_int_eq(ask("descriptors"), 0);
}
END_TEST

START_TEST(a_child_becomes_somebody_but_never_root)
{
	if (!user_is_root())
		return;
	ck_assert_int_eq(ask("become"), 'y');
	ck_assert_int_eq(ask("root"), 'n');
}
END_TEST

START_TEST(a_child_that_was_killed_is_told_and_its_place_is_free_again)
{
	for (int round = 0; round < 3; round++) {
		uint32_t numbers[CHILDREN], more;
		for (int i = 0; i < CHILDREN; i++)
			numbers[i] = fork_server_make(server, SLICE("wait"), -1);
		more = fork_server_make(server, SLICE("wait"), -1);
		size_t refused = wait_for(more, false);
		ck_assert_int_eq(seen[refused].fd, -1);
		ck_assert_int_eq(seen[refused].error, EAGAIN);
		for (int i = 0; i < CHILDREN; i++) {
			size_t k = wait_for(numbers[i], false);
			if (i == 0)
				close(seen[k].fd); /* it reads the end */
			else
				fork_server_kill(server, numbers[i]);
			wait_for(numbers[i], true);
			if (i == 0)
				ck_assert_int_eq(WEXITSTATUS(seen[k].status), 7);
			else
				ck_assert_int_eq(WTERMSIG(seen[k].status), SIGKILL);
			if (i > 0)
				close(seen[k].fd);
		}
	}
}
END_TEST

START_TEST(a_bug_in_a_child_aborts_it)
{
	uint32_t number = fork_server_make(server, SLICE("abort"), -1);
	size_t i = wait_for(number, true);
	ck_assert_int_eq(WTERMSIG(seen[i].status), SIGABRT);
	close(seen[i].fd);
}
END_TEST

START_TEST(a_kill_of_nobody_does_nothing)
{
	fork_server_kill(server, 77);
	ck_assert_int_eq(ask("descriptors"), 0);
}
END_TEST

START_TEST(a_server_ends_with_its_daemon)
{
	int ends[2];
	char c;
	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct error e;
		dup2(ends[1], STDERR_FILENO); /* a server keeps it as long as it lives */
		_exit(fork_server_start(&plan, &e) ? 0 : 1);
	}
	close(ends[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(read(ends[0], &c, 1), 0);
	close(ends[0]);
}
END_TEST

/* The child's end, when it has said that it is there. */
static int begin_one(const char *request)
{
	char answer;
	size_t i = wait_for(fork_server_make(server, slice_str(request), -1), false);
	struct pollfd p = {.fd = seen[i].fd, .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, WAIT_US / 1000), 1);
	ck_assert_int_eq(read(seen[i].fd, &answer, 1), 1);
	ck_assert_int_eq(answer, 'y');
	return seen[i].fd;
}

/* One that its user has stopped, and one that does not look whether the daemon is there. */
START_TEST(no_child_outlives_the_daemon_for_long)
{
	int ends[2];
	char c;
	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct error e;
		dup2(ends[1],
		     STDERR_FILENO); /* servers and children keep it as long as they live */
		loop_forget();
		server = fork_server_start(&plan, &e);
		fork_server_listen(server, &calls);
		begin_one("stopped");
		begin_one("busy");
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, WAIT_US / 1000), 1);
	ck_assert_int_eq(read(ends[0], &c, 1), 0);
	close(ends[0]);
}
END_TEST

START_TEST(children_end_with_a_server_that_is_killed)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	char c;
	int fd = begin_one("bound");
	/* the server has made the pair */
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
	ck_assert_int_eq(kill(who.pid, SIGKILL), 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, WAIT_US / 1000), 1);
	ck_assert_int_eq(read(fd, &c, 1), 0);
	close(fd);
}
END_TEST

int main(int argc, char **argv)
{
	process_begin(argc, argv);
	Suite *s = suite_create("fork_server");
	TCase *tc = tcase_create("fork_server");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_child_has_its_socket_and_no_other_descriptor);
	tcase_add_test(tc, a_child_has_what_it_was_given);
	tcase_add_test(tc, a_child_becomes_somebody_but_never_root);
	tcase_add_test(tc, a_child_that_was_killed_is_told_and_its_place_is_free_again);
	tcase_add_test(tc, a_bug_in_a_child_aborts_it);
	tcase_add_test(tc, a_kill_of_nobody_does_nothing);
	tcase_add_test(tc, a_server_ends_with_its_daemon);
	tcase_add_test(tc, no_child_outlives_the_daemon_for_long);
	tcase_add_test(tc, children_end_with_a_server_that_is_killed);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
