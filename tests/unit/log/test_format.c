/*
 * A log line as it is written.
 */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "daemons/log/format.h"

#define WHEN UINT64_C(1795500123456789) /* 2026-11-24T06:02:03.456789Z, says date(1) */

static struct log_entry entry_of(const char *text)
{
	return (struct log_entry){
	    .level = LOG_LEVEL_WARNING, .wall_us = WHEN, .text = slice_str(text)};
}

static void assert_text(const struct buffer *b, const char *expected)
{
	struct slice s = buffer_slice(b);
	ck_assert_msg(slice_equal(s, slice_str(expected)), "got %.*s", SLICE_FMT(s));
}

START_TEST(text_has_local_time_with_its_offset)
{
	struct buffer b;
	struct log_entry entry = entry_of("- up a=1");
	buffer_init(&b, 4096);
	setenv("TZ", "ABC-5:30", 1);
	tzset();
	ck_assert(format_text(&b, "mx", SLICE("smtpd"), 77, &entry));
	assert_text(&b, "2026-11-24T11:32:03.456789+05:30 mx/smtpd[77]: - up a=1\n");
	buffer_free(&b);
}
END_TEST

START_TEST(a_control_character_never_reaches_the_log)
{
	struct buffer b;
	struct log_entry entry = entry_of("a\rb\033[2Jc\177\t\xc3\xa9\xc2\x9b"
					  "d\xe2\x80\xaer\xff\xc3");
	buffer_init(&b, 4096);
	ck_assert(format_text(&b, "mx", SLICE("smtpd"), 77, &entry));
	assert_text(&b,
		    "2026-11-24T06:02:03.456789+00:00 mx/smtpd[77]: a?b?[2Jc??\xc3\xa9?d?r??\n");
	buffer_free(&b);
}
END_TEST

START_TEST(syslog_has_a_priority_and_its_own_time)
{
	struct buffer b;
	struct log_entry entry = entry_of("- up a=1");
	buffer_init(&b, 4096);
	ck_assert(format_syslog(&b, "mx", SLICE("smtpd"), 77, &entry));
	assert_text(&b, "<20>Nov 24 06:02:03 mx/smtpd[77]: - up a=1\n");
	entry.wall_us -= UINT64_C(20) * 86400 * 1000000;
	entry.level = LOG_LEVEL_ERROR;
	buffer_reset(&b);
	ck_assert(format_syslog(&b, "mx", SLICE("smtpd"), 77, &entry));
	assert_text(&b, "<19>Nov  4 06:02:03 mx/smtpd[77]: - up a=1\n");
	buffer_free(&b);
}
END_TEST

START_TEST(a_line_that_does_not_fit_leaves_nothing)
{
	struct buffer b;
	struct log_entry entry = entry_of("- up a=1");
	buffer_init(&b, 40);
	ck_assert(!format_text(&b, "mx", SLICE("smtpd"), 77, &entry));
	ck_assert_uint_eq(buffer_slice(&b).len, 0);
	buffer_free(&b);
}
END_TEST

static void in_utc(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}

int main(void)
{
	Suite *s = suite_create("format");
	TCase *t = tcase_create("lines");
	SRunner *sr;
	int failed;
	tcase_add_checked_fixture(t, in_utc, NULL);
	tcase_add_test(t, text_has_local_time_with_its_offset);
	tcase_add_test(t, a_control_character_never_reaches_the_log);
	tcase_add_test(t, syslog_has_a_priority_and_its_own_time);
	tcase_add_test(t, a_line_that_does_not_fit_leaves_nothing);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
