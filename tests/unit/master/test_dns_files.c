/*
 * The files that say how the DNS is asked: the trust anchor must be there, and is given again when
 * it has changed.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/dns_files.h"

static char folder[64];
static struct config *config;
static struct dns_files *files;
static unsigned given;
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

static void load(const char *text)
{
	static const struct config_host host = {"mx.example.com", NULL};
	struct error e = {0};
	write_file("stagepost.conf", text);
	ck_assert_msg(config_load_for(&host, in_folder("stagepost.conf"), &config, &e), "%s",
		      e.text);
}

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test-dns-files-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file("anchor", "one");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	dns_files_free(&files);
	config_free(&config);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void take(void *arg, const char *path, const char *detail, int fd)
{
	(void)arg;
	if (strcmp(detail, "anchor") != 0) {
		ck_assert_str_eq(detail, "resolv.conf");
		ck_assert_str_eq(path, "/etc/resolv.conf");
		return;
	}
	ck_assert_str_eq(path, in_folder("anchor"));
	ssize_t n = pread(fd, content, sizeof(content) - 1, 0);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	given++;
}

START_TEST(a_changed_anchor_is_given_again)
{
	struct error e = {0};
	load("resolver { anchor anchor; }\n");
	ck_assert_msg(dns_files_open(config, &files, &e), "%s", e.text);
	dns_files_each(files, take, NULL);
	ck_assert_uint_eq(given, 1);
	ck_assert_str_eq(content, "one");
	dns_files_look(files, take, NULL);
	ck_assert_uint_eq(given, 1);
	write_file("anchor", "another");
	dns_files_look(files, take, NULL); /* it may still be written */
	ck_assert_uint_eq(given, 1);
	dns_files_look(files, take, NULL);
	ck_assert_uint_eq(given, 2);
	ck_assert_str_eq(content, "another");
	unlink(in_folder("anchor"));
	dns_files_look(files, take, NULL);
	ck_assert_uint_eq(given, 2);
}
END_TEST

START_TEST(without_an_anchor_there_is_none)
{
	struct error e = {0};
	load("");
	ck_assert_msg(dns_files_open(config, &files, &e), "%s", e.text);
	dns_files_each(files, take, NULL);
	ck_assert_uint_eq(given, 0);
}
END_TEST

START_TEST(an_anchor_that_is_not_there_is_refused)
{
	struct error e = {0};
	load("resolver { anchor anchor; }\n");
	unlink(in_folder("anchor"));
	ck_assert(!dns_files_open(config, &files, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	ck_assert_ptr_nonnull(strstr(e.text, "trust anchor"));
	ck_assert_ptr_null(files);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dns_files");
	TCase *t = tcase_create("dns_files");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_changed_anchor_is_given_again);
	tcase_add_test(t, without_an_anchor_there_is_none);
	tcase_add_test(t, an_anchor_that_is_not_there_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
