/*
 * What the master makes on the disk, and who else may have it. Another master is a child process.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/places.h"

static char folder[64], run[96], made[96];

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test-places-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(run, sizeof(run), "%s/run", folder);
	snprintf(made, sizeof(made), "%s/a/b", folder);
}

static void teardown(void)
{
	static const char *const names[] = {"run/control", "run/submit", "run/lock", "run/empty",
					    "run/usage",   "run",	 "a/b",	     "a"};
	char path[128];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	rmdir(folder);
}

static ino_t control_inode(void)
{
	struct stat st;
	char path[128];
	snprintf(path, sizeof(path), "%s/control", run);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	return st.st_ino;
}

static int take_run(void)
{
	struct error e = {0};
	return place_run(run, &e) ? EX_OK : e.code;
}

START_TEST(a_second_master_leaves_the_first_ones_socket_alone)
{
	int status = -1;
	ck_assert_int_eq(take_run(), EX_OK);
	ino_t before = control_inode();
	pid_t pid = fork();
	if (pid == 0)
		_exit(take_run());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EX_TEMPFAIL);
	ck_assert_uint_eq(control_inode(), before);
}
END_TEST

START_TEST(a_socket_that_was_left_over_is_replaced)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(take_run());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	control_inode();
	ck_assert_int_eq(take_run(), EX_OK);
	place_leave();
	char path[128];
	snprintf(path, sizeof(path), "%s/control", run);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(makes_what_is_missing_whatever_the_umask)
{
	struct error e = {0};
	struct stat st;
	int fd = -1;
	umask(0077);
	ck_assert_msg(place_directory(made, 0750, NULL, &fd, &e), "%s", e.text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0750);
	ck_assert_int_eq(close(fd), 0);
	*strrchr(made, '/') = '\0';
	ck_assert_int_eq(stat(made, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
}
END_TEST

START_TEST(a_directory_that_is_there_keeps_its_mode)
{
	struct error e = {0};
	struct stat st;
	int fd = -1;
	ck_assert_int_eq(mkdir(run, 0711), 0);
	ck_assert(place_directory(run, 0700, NULL, &fd, &e));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0711);
	close(fd);
}
END_TEST

/* What a role remembers is nobody else's, and of one server only. */
START_TEST(a_roles_state_is_its_own_and_another_master_stays_out)
{
	struct error e = {0};
	struct stat st;
	int status = -1, fd = -1;
	ck_assert_msg(place_state(run, "usage", NULL, &fd, &e), "%s", e.text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	pid_t pid = fork();
	if (pid == 0)
		_exit(take_run());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), EX_TEMPFAIL);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("places");
	TCase *t = tcase_create("places");
	SRunner *sr;
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_second_master_leaves_the_first_ones_socket_alone);
	tcase_add_test(t, a_socket_that_was_left_over_is_replaced);
	tcase_add_test(t, makes_what_is_missing_whatever_the_umask);
	tcase_add_test(t, a_directory_that_is_there_keeps_its_mode);
	tcase_add_test(t, a_roles_state_is_its_own_and_another_master_stays_out);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
