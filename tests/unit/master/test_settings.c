/*
 * The configuration as the daemons get it: what is refused as a whole, and what a reload leaves as
 * it was.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/settings.h"

static char folder[64], path[512];
static struct buffer remarks;

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test-settings-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/stagepost.conf", folder);
	buffer_init(&remarks, SETTINGS_REMARKS_MAX);
}

static void teardown(void)
{
	unlink(path);
	rmdir(folder);
	buffer_free(&remarks);
}

static const char DOMAIN[] = "domain example.com {\n"
			     "deliver maildir /tmp/box/%n { users static:a; owner nobody }\n"
			     "}\n";

/* Of the text and the usual domain. */
static struct settings *load(const char *text, struct error *e)
{
	struct settings *s = NULL;
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "hostname mx.example.com\npostmaster a@example.com\n%s%s", text, DOMAIN);
	fclose(f);
	buffer_reset(&remarks);
	return settings_load(path, &s, &remarks, e) ? s : NULL;
}

static struct settings *load_good(const char *text)
{
	struct error e = {0};
	struct settings *s = load(text, &e);
	ck_assert_msg(s != NULL, "%s", e.text);
	return s;
}

static void assert_remark(const char *text)
{
	struct slice all = buffer_slice(&remarks);
	char whole[SETTINGS_REMARKS_MAX + 1];
	ck_assert(slice_copy(all, whole, sizeof(whole)));
	ck_assert_msg(strstr(whole, text) != NULL, "no %s in %s", text, whole);
}

static bool add_address(void *arg, struct slice address, struct slice kind)
{
	return buffer_printf(arg, "%.*s %.*s,", SLICE_FMT(address), SLICE_FMT(kind));
}

static void assert_listeners(const struct settings *s, const char *expected)
{
	struct buffer b;
	buffer_init(&b, 1024);
	ck_assert(settings_listeners(s, add_address, &b));
	ck_assert(slice_equal(buffer_slice(&b), slice_str(expected)));
	buffer_free(&b);
}

START_TEST(a_reload_keeps_listeners_paths_and_numbers_and_says_so)
{
	struct settings *old = load_good("listen 127.0.0.1:2525 smtp\n");
	struct settings *fresh = load_good("listen *:25 smtp; listen *:26 smtp\nspool /tmp/other\n"
					   "run /tmp/run\nprocesses { smtpd 3 }\n");
	buffer_reset(&remarks);
	settings_keep_fixed(fresh, old, &remarks);
	assert_remark("spool: a change needs a restart");
	assert_remark("run: a change needs a restart");
	assert_remark("processes.smtpd: a change needs a restart");
	assert_remark("listen: a change needs a restart");
	assert_listeners(fresh, "127.0.0.1:2525 smtp,");
	settings_free(&old);
	settings_free(&fresh);
}
END_TEST

START_TEST(a_reload_of_the_same_has_no_remark)
{
	struct settings *old = load_good("listen 127.0.0.1:2525 smtp\n");
	struct settings *fresh = load_good("listen 127.0.0.1:2525 smtp\nretry { first 10m }\n");
	buffer_reset(&remarks);
	settings_keep_fixed(fresh, old, &remarks);
	ck_assert_uint_eq(remarks.len, 0);
	settings_free(&old);
	settings_free(&fresh);
}
END_TEST

/* In a folder with a long name a short relative path becomes a long one in each record. */
START_TEST(settings_that_no_channel_could_take_are_refused)
{
	enum { TABLES = 40000, IN_A_LINE = 4000, NAME = 220 };
	struct error e = {0};
	struct buffer text;
	char table[NAME + 128];
	snprintf(table, sizeof(table), "%s/%0*d", folder, NAME, 0);
	ck_assert_int_eq(mkdir(table, 0700), 0);
	snprintf(path, sizeof(path), "%s/stagepost.conf", table);
	snprintf(table + strlen(table), sizeof(table) - strlen(table), "/a");
	fclose(fopen(table, "w"));
	buffer_init(&text, 1024 * 1024);
	buffer_printf(&text, "listen 127.0.0.1:2525 smtp");
	for (unsigned at = 0; at < TABLES; at++)
		buffer_printf(&text, "%s file:a", at % IN_A_LINE == 0 ? "\naliases" : "");
	buffer_printf(&text, "%c%c", '\n', '\0');
	ck_assert_ptr_null(load(buffer_slice(&text).ptr, &e));
	ck_assert_int_eq(e.code, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.text, "settings"));
	buffer_free(&text);
	unlink(table);
	unlink(path);
	*strrchr(table, '/') = '\0';
	rmdir(table);
}
END_TEST

/* They would fill what is shown of the reason. */
START_TEST(no_warning_stands_before_what_is_wrong)
{
	struct error e = {0};
	ck_assert_ptr_null(load("origin nodot\nlisten 127.0.0.1:2525 smtp\naliases files:x\n", &e));
	assert_remark("`files:x` is no table");
	ck_assert(slice_starts(buffer_slice(&remarks), slice_str(path)));
	buffer_byte(&remarks, '\0');
	ck_assert_ptr_null(strstr(remarks.data, "warning"));
}
END_TEST

START_TEST(mailboxes_of_two_owners_are_refused)
{
	struct error e = {0};
	struct settings *s = load(
	    "listen 127.0.0.1:2525 smtp\n"
	    "domain b.example { deliver maildir /tmp/b/%n { users static:b; owner daemon } }\n",
	    &e);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(e.code, EX_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.text, "two owners"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("settings");
	TCase *t = tcase_create("settings");
	SRunner *sr;
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_reload_keeps_listeners_paths_and_numbers_and_says_so);
	tcase_add_test(t, a_reload_of_the_same_has_no_remark);
	tcase_add_test(t, settings_that_no_channel_could_take_are_refused);
	tcase_add_test(t, no_warning_stands_before_what_is_wrong);
	tcase_add_test(t, mailboxes_of_two_owners_are_refused);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
