/* lock: held by the open file, whoever has it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/lock.h"

static char dir_path[] = "/tmp/test-lock-XXXXXX";
static int dir;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

static void teardown(void)
{
	unlinkat(dir, "f", 0);
	close(dir);
	rmdir(dir_path);
}

static int open_file(void)
{
	int fd = openat(dir, "f", O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(two_descriptors_of_one_process_exclude_each_other)
{
	int a = open_file(), b = open_file();
	ck_assert_int_eq(lock_held_by_other(b), 0);
	ck_assert_int_eq(lock_take(a, true), 0);
	ck_assert_int_eq(lock_take(a, true), 0);
	ck_assert_int_eq(lock_held_by_other(a), 0);
	ck_assert_int_eq(lock_held_by_other(b), 1);
	ck_assert_int_eq(lock_take(b, true), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(lock_take(b, false), -1);
	ck_assert_int_eq(lock_release(a), 0);
	ck_assert_int_eq(lock_take(b, true), 0);
	close(a);
	close(b);
}
END_TEST

START_TEST(alone_is_who_has_the_only_descriptor)
{
	int a = open_file(), b = openat(dir, "f", O_RDONLY);
	ck_assert_int_eq(lock_alone(a), 0);
	close(b);
	ck_assert_int_eq(lock_alone(a), 1);
	ck_assert_int_eq(lock_alone(a), 1);
	b = open_file();
	ck_assert_int_eq(lock_alone(a), 0);
	ck_assert_int_eq(lock_alone(b), 0);
	close(a);
	ck_assert_int_eq(lock_alone(b), 1);
	close(b);
}
END_TEST

START_TEST(shared_locks_share)
{
	int a = open_file(), b = open_file(), c = open_file();
	ck_assert_int_eq(lock_take(a, false), 0);
	ck_assert_int_eq(lock_take(b, false), 0);
	ck_assert_int_eq(lock_take(c, true), -1);
	ck_assert_int_eq(lock_held_by_other(c), 1);
	close(a);
	close(b);
	ck_assert_int_eq(lock_take(c, true), 0);
	close(c);
}
END_TEST

START_TEST(a_passed_descriptor_keeps_the_lock_until_its_last_copy_closes)
{
	int hold[2];
	ck_assert_int_eq(pipe(hold), 0);
	int a = open_file(), b = open_file();
	ck_assert_int_eq(lock_take(a, true), 0);
	pid_t pid = fork();
	if (pid == 0) { /* holds the copy until the pipe is closed */
		char c;
		close(hold[1]);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
	}
	close(a);
	ck_assert_int_eq(lock_held_by_other(b), 1);
	ck_assert_int_eq(lock_take(b, true), -1);
	close(hold[1]);
	int state;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	ck_assert_int_eq(state, 0);
	ck_assert_int_eq(lock_take(b, true), 0);
	close(b);
}
END_TEST

START_TEST(the_second_taker_of_a_lock_file_reads_who_holds_it)
{
	int first = -1, second = -1;
	pid_t holder;
	struct error e;
	char text[32] = "";
	/* a longer number of an earlier life leaves no digit behind */
	int old = open_file();
	ck_assert_int_eq(write(old, "99999999999\n", 12), 12);
	close(old);
	ck_assert(lock_file_take(dir, "f", &first, &holder, &e));
	ck_assert_int_gt(pread(first, text, sizeof(text) - 1, 0), 0);
	ck_assert_int_eq(atoi(text), getpid());
	ck_assert_uint_eq(strcspn(text, "\n") + 1, strlen(text));
	ck_assert(!lock_file_take(dir, "f", &second, &holder, &e));
	ck_assert_int_eq(e.code, EAGAIN);
	ck_assert_int_eq(holder, getpid());
	close(first);
	ck_assert(lock_file_take(dir, "f", &second, &holder, &e));
	close(second);
}
END_TEST

START_TEST(a_lock_file_that_can_t_be_opened_is_named)
{
	int fd;
	pid_t holder;
	struct error e;
	ck_assert(!lock_file_take(dir, "no/where", &fd, &holder, &e));
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "no/where"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lock");
	TCase *tc = tcase_create("lock");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, alone_is_who_has_the_only_descriptor);
	tcase_add_test(tc, two_descriptors_of_one_process_exclude_each_other);
	tcase_add_test(tc, shared_locks_share);
	tcase_add_test(tc, a_passed_descriptor_keeps_the_lock_until_its_last_copy_closes);
	tcase_add_test(tc, the_second_taker_of_a_lock_file_reads_who_holds_it);
	tcase_add_test(tc, a_lock_file_that_can_t_be_opened_is_named);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
