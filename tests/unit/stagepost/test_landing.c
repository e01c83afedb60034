/*
 * Landing: where a path leads, and which links may say so.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/stagepost/landing.h"

static char folder[64];

/* ours/ is ours alone, theirs/ is everybody's; both hold the same. */
static void make_folders(void)
{
	static const char *const names[] = {"ours", "theirs"};
	snprintf(folder, sizeof(folder), "/tmp/stagepost-test-landing-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(mkdir(names[i], 0755), 0);
		ck_assert_int_eq(chdir(names[i]), 0);
		ck_assert_int_eq(mkdir("sub", 0755), 0);
		ck_assert_int_eq(close(open("sub/file", O_CREAT | O_WRONLY, 0600)), 0);
		ck_assert_int_eq(symlink("sub/file", "link"), 0);
		ck_assert_int_eq(symlink("sub", "dirlink"), 0);
		ck_assert_int_eq(symlink("loop", "loop"), 0);
		ck_assert_int_eq(symlink("sub/none", "dangling"), 0);
		ck_assert_int_eq(chdir(".."), 0);
	}
	ck_assert_int_eq(chmod("theirs", 0777), 0);
}

static void remove_folders(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(system(command), 0);
}

static const struct {
	const char *path, *directory, *name; /* directory NULL: refused */
	int code;
} CASES[] = {
    {"ours/sub/file", "ours/sub", "file", 0},
    {"ours//sub/./file", "ours/sub", "file", 0},
    {"ours/sub/new", "ours/sub", "new", 0},
    {"new", ".", "new", 0},
    {"ours/link", "ours/sub", "file", 0},
    {"ours/dirlink/file", "ours/sub", "file", 0},
    {"ours/dangling", "ours/sub", "none", 0},
    {"ours/../ours/link", "ours/sub", "file", 0},
    {"theirs/sub/file", "theirs/sub", "file", 0},
    {"theirs/link", NULL, NULL, EX_NOPERM},
    {"theirs/dirlink/file", NULL, NULL, EX_NOPERM},
    {"theirs/dangling", NULL, NULL, EX_NOPERM},
    {"ours/loop", NULL, NULL, EX_DATAERR},
    {"ours/none/file", NULL, NULL, EX_DATAERR},
    {"ours/sub/file/x", NULL, NULL, EX_DATAERR},
    {"/", NULL, NULL, EX_DATAERR},
    {"", NULL, NULL, EX_DATAERR},
};

START_TEST(paths_lead_where_only_we_could_say)
{
	char name[LANDING_NAME_SIZE];
	struct error e = {0};
	struct stat here, wanted;
	int fd = landing_open(CASES[_i].path, name, &e);
	ck_assert_msg((fd >= 0) == (CASES[_i].directory != NULL), "%s: %s", CASES[_i].path, e.text);
	if (fd < 0) {
		ck_assert_int_eq(e.code, CASES[_i].code);
		return;
	}
	ck_assert_str_eq(name, CASES[_i].name);
	ck_assert_int_eq(fstat(fd, &here), 0);
	ck_assert_int_eq(stat(CASES[_i].directory, &wanted), 0);
	ck_assert_uint_eq(here.st_ino, wanted.st_ino);
	close(fd);
}
END_TEST

START_TEST(a_link_may_be_absolute)
{
	char name[LANDING_NAME_SIZE], to[128];
	struct error e = {0};
	snprintf(to, sizeof(to), "%s/ours/sub/file", folder);
	ck_assert_int_eq(symlink(to, "ours/absolute"), 0);
	int fd = landing_open("ours/absolute", name, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_str_eq(name, "file");
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("landing");
	TCase *cases = tcase_create("landing");
	tcase_add_checked_fixture(cases, make_folders, remove_folders);
	tcase_add_loop_test(cases, paths_lead_where_only_we_could_say, 0,
			    sizeof(CASES) / sizeof(CASES[0]));
	tcase_add_test(cases, a_link_may_be_absolute);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
