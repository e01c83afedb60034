/* process: a program's first steps. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/process.h"

START_TEST(it_stands_on_safe_ground)
{
	struct sigaction action;
	ck_assert_int_eq(sigaction(SIGPIPE, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_IGN);
	ck_assert_uint_eq(umask(077), 077);
}
END_TEST

START_TEST(it_is_called_what_it_says)
{
	char title[256] = "";
	process_title("smtpd %d", 2);
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ck_assert_int_gt(read(fd, title, sizeof(title) - 1), 0);
	ck_assert_str_eq(title, "stagepost: smtpd 2");
	close(fd);
}
END_TEST

int main(int argc, char **argv)
{
	/* as a careless parent leaves it */
	close(STDIN_FILENO);
	process_begin(argc, argv);
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return 1;
	Suite *s = suite_create("process");
	TCase *tc = tcase_create("process");
	tcase_add_test(tc, it_stands_on_safe_ground);
	tcase_add_test(tc, it_is_called_what_it_says);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
