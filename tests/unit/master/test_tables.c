/*
 * The files of tables: every way to change one is seen at the next look, and what can't be opened
 * leaves the last content in use.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/config/config.h"
#include "master/tables.h"

static char folder[64];
static struct config *config;
static struct tables *tables;
static unsigned given; /* calls of the last look */
static char content[64];

static const char *in_folder(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_folder(name), "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	static const struct config_host host = {"mx.example.com", NULL};
	struct error e = {0};
	snprintf(folder, sizeof(folder), "/tmp/test-tables-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file("stagepost.conf", "aliases file:aliases file:aliases\n");
	write_file("aliases", "a: b\n");
	ck_assert(config_load_for(&host, in_folder("stagepost.conf"), &config, &e));
	ck_assert_msg(tables_open(config, &tables, &e), "%s", e.text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	tables_free(&tables);
	config_free(&config);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void take(void *arg, enum table_use use, const char *spec, int fd)
{
	(void)arg, (void)spec;
	ck_assert_int_eq(use, TABLE_ALIASES);
	ssize_t n = pread(fd, content, sizeof(content) - 1, 0);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	given++;
}

static unsigned look(void)
{
	given = 0;
	tables_look(tables, take, NULL);
	return given;
}

/* Two looks: what has changed before them is at rest at the second. */
static unsigned look_twice(void)
{
	return look() + look();
}

START_TEST(a_table_that_is_named_twice_is_one_file)
{
	given = 0;
	tables_each(tables, take, NULL);
	ck_assert_uint_eq(given, 1);
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(a_file_that_was_written_again_is_given_once)
{
	write_file("aliases", "a: b, c\n");
	ck_assert_uint_eq(look_twice(), 1);
	ck_assert_str_eq(content, "a: b, c\n");
	ck_assert_uint_eq(look_twice(), 0);
}
END_TEST

START_TEST(a_file_that_is_being_written_is_not_taken)
{
	write_file("aliases", "a:");
	ck_assert_uint_eq(look(), 0);
	write_file("aliases", "a: whole\n");
	ck_assert_uint_eq(look(), 0);
	ck_assert_uint_eq(look(), 1);
	ck_assert_str_eq(content, "a: whole\n");
}
END_TEST

START_TEST(a_file_that_never_rests_is_taken_at_the_third_look)
{
	write_file("aliases", "1");
	ck_assert_uint_eq(look(), 0);
	write_file("aliases", "12");
	ck_assert_uint_eq(look(), 0);
	write_file("aliases", "123");
	ck_assert_uint_eq(look(), 1);
}
END_TEST

START_TEST(a_file_that_was_renamed_into_place_is_given)
{
	write_file("fresh", "a: d\n"); /* as long as the old one */
	char from[128];
	snprintf(from, sizeof(from), "%s", in_folder("fresh"));
	ck_assert_int_eq(rename(from, in_folder("aliases")), 0);
	ck_assert_uint_eq(look_twice(), 1);
	ck_assert_str_eq(content, "a: d\n");
}
END_TEST

START_TEST(a_link_that_was_turned_is_given)
{
	write_file("one", "a: e\n");
	ck_assert_int_eq(unlink(in_folder("aliases")), 0);
	ck_assert_int_eq(symlink("one", in_folder("aliases")), 0);
	ck_assert_uint_eq(look_twice(), 1);
	ck_assert_str_eq(content, "a: e\n");
	write_file("two", "a: f\n");
	ck_assert_int_eq(unlink(in_folder("aliases")), 0);
	ck_assert_int_eq(symlink("two", in_folder("aliases")), 0);
	ck_assert_uint_eq(look_twice(), 1);
	ck_assert_str_eq(content, "a: f\n");
}
END_TEST

START_TEST(what_can_not_be_opened_leaves_the_last_content)
{
	ck_assert_int_eq(unlink(in_folder("aliases")), 0);
	ck_assert_uint_eq(look_twice(), 0);
	ck_assert_int_eq(mkfifo(in_folder("aliases"), 0600), 0);
	ck_assert_uint_eq(look_twice(), 0);
	tables_each(tables, take, NULL);
	ck_assert_str_eq(content, "a: b\n");
	ck_assert_int_eq(unlink(in_folder("aliases")), 0);
	write_file("aliases", "a: g\n");
	ck_assert_uint_eq(look_twice(), 1);
	ck_assert_str_eq(content, "a: g\n");
}
END_TEST

START_TEST(a_missing_file_refuses_the_configuration)
{
	struct tables *none = NULL;
	struct error e = {0};
	ck_assert_int_eq(unlink(in_folder("aliases")), 0);
	ck_assert(!tables_open(config, &none, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	ck_assert_ptr_nonnull(strstr(e.text, in_folder("aliases")));
	ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tables");
	TCase *t = tcase_create("files");
	SRunner *sr;
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_table_that_is_named_twice_is_one_file);
	tcase_add_test(t, a_file_that_was_written_again_is_given_once);
	tcase_add_test(t, a_file_that_is_being_written_is_not_taken);
	tcase_add_test(t, a_file_that_never_rests_is_taken_at_the_third_look);
	tcase_add_test(t, a_file_that_was_renamed_into_place_is_given);
	tcase_add_test(t, a_link_that_was_turned_is_given);
	tcase_add_test(t, what_can_not_be_opened_leaves_the_last_content);
	tcase_add_test(t, a_missing_file_refuses_the_configuration);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
