/*
 * The files of certificates and keys: what is opened, what is given, and what is never given.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "master/certificates.h"

enum { CONTENT_SIZE = 64, LOG_SIZE = 8192 };

static char folder[64], logged[LOG_SIZE];
static struct config *config;
static struct certificates *files;
static char certificate[CONTENT_SIZE], key[CONTENT_SIZE]; /* as given last; empty: not given */
static unsigned given;

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

/* A file takes the name whole. */
static void replace_file(const char *name, const char *text)
{
	char from[128];
	write_file("new", text);
	snprintf(from, sizeof(from), "%s/new", folder);
	ck_assert_int_eq(rename(from, in_folder(name)), 0);
}

static void keep_log(enum log_level level, struct slice line)
{
	size_t len = strlen(logged);
	(void)level;
	snprintf(logged + len, sizeof(logged) - len, "%.*s\n", SLICE_FMT(line));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void setup(void)
{
	static const struct config_host host = {"mx.example.com", NULL};
	struct error e = {0};
	char text[400];
	snprintf(folder, sizeof(folder), "/tmp/test-certificates-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	log_set_sink(keep_log, LOG_LEVEL_INFO);
	logged[0] = '\0';
	snprintf(text, sizeof(text),
		 "tls { certificate %s/a.pem; key %s/a.key }\nlisten 127.0.0.1:2525 smtp\n", folder,
		 folder);
	write_file("stagepost.conf", text);
	ck_assert_msg(config_load_for(&host, in_folder("stagepost.conf"), &config, &e), "%s",
		      e.text);
	write_file("a.pem", "certificate 1");
	write_file("a.key", "key 1");
}

static void teardown(void)
{
	certificates_free(&files);
	config_free(&config);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void note(void *arg, const char *path, const char *detail, int fd)
{
	char *to = strcmp(detail, "key") == 0 ? key : certificate;
	ssize_t len = pread(fd, to, CONTENT_SIZE - 1, 0);
	(void)arg, (void)path;
	ck_assert_int_ge(len, 0);
	to[len] = '\0';
	given++;
}

static void give_all(void)
{
	certificate[0] = key[0] = '\0';
	given = 0;
	certificates_each(files, note, NULL);
}

/* A change is taken when it looks the same twice. */
static void look(void)
{
	certificate[0] = key[0] = '\0';
	given = 0;
	for (unsigned i = 0; i < 3; i++)
		certificates_look(files, note, NULL);
}

static void open_all(void)
{
	struct error e = {0};
	ck_assert_msg(certificates_open(config, &files, &e), "%s", e.text);
}

START_TEST(both_files_are_given_and_again_when_one_has_changed)
{
	open_all();
	give_all();
	ck_assert_str_eq(certificate, "certificate 1");
	ck_assert_str_eq(key, "key 1");
	look();
	ck_assert_uint_eq(given, 0);
	replace_file("a.key", "key 2");
	look();
	ck_assert_uint_eq(given, 1);
	ck_assert_str_eq(key, "key 2");
	write_file("a.pem", "certificate 3, written over");
	look();
	ck_assert_uint_eq(given, 1);
	ck_assert_str_eq(certificate, "certificate 3, written over");
}
END_TEST

/* As certbot does: live/NAME/fullchain.pem -> ../../archive/NAME/fullchainN.pem */
START_TEST(a_link_that_is_turned_is_a_change)
{
	write_file("a1.pem", "certificate 1");
	write_file("a2.pem", "certificate 2");
	ck_assert_int_eq(unlink(in_folder("a.pem")), 0);
	ck_assert_int_eq(symlink("a1.pem", in_folder("a.pem")), 0);
	open_all();
	ck_assert_int_eq(unlink(in_folder("a.pem")), 0);
	look();
	ck_assert_uint_eq(given, 0);
	ck_assert_int_eq(symlink("a2.pem", in_folder("a.pem")), 0);
	look();
	ck_assert_uint_eq(given, 1);
	ck_assert_str_eq(certificate, "certificate 2");
}
END_TEST

START_TEST(a_file_that_is_missing_is_no_start_and_one_that_goes_stays_in_use)
{
	struct error e = {0};
	ck_assert_int_eq(unlink(in_folder("a.key")), 0);
	ck_assert(!certificates_open(config, &files, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	ck_assert_ptr_nonnull(strstr(e.text, "a.key"));
	write_file("a.key", "key 1");
	open_all();
	ck_assert_int_eq(unlink(in_folder("a.key")), 0);
	look();
	ck_assert_ptr_nonnull(strstr(logged, "its last content stays in use"));
	give_all();
	ck_assert_str_eq(key, "key 1");
}
END_TEST

static const char both[] = "certificate\n-----BEGIN EC PRIVATE KEY-----\n";

START_TEST(a_certificates_file_with_a_key_in_it_is_never_given)
{
	struct error e = {0};
	write_file("a.pem", both);
	ck_assert(!certificates_open(config, &files, &e));
	ck_assert_int_eq(e.code, EX_CONFIG);
	write_file("a.pem", "certificate 1");
	open_all();

	replace_file("a.pem", both);
	look();
	ck_assert_uint_eq(given, 0);
	ck_assert_ptr_nonnull(strstr(logged, "private key"));
	give_all(); /* to a process that is started now */
	ck_assert_str_eq(certificate, "certificate 1");

	replace_file("a.pem", "certificate 2");
	look();
	ck_assert_str_eq(certificate, "certificate 2");
	write_file("a.pem", both);
	give_all();
	ck_assert_str_eq(certificate, "");
	ck_assert_str_eq(key, "key 1");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("certificates");
	TCase *t = tcase_create("certificates");
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, both_files_are_given_and_again_when_one_has_changed);
	tcase_add_test(t, a_link_that_is_turned_is_a_change);
	tcase_add_test(t, a_file_that_is_missing_is_no_start_and_one_that_goes_stays_in_use);
	tcase_add_test(t, a_certificates_file_with_a_key_in_it_is_never_given);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
