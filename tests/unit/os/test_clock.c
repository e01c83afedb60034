/* clock: times as people and other hosts read them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/os/clock.h"

static const struct {
	const char *zone;
	uint64_t wall_us;
	const char *text;
	int minutes;
} cases[] = {
    {"UTC0", 0, "1970-01-01T00:00:00.000000+00:00", 0},
    {"UTC0", UINT64_C(1795500245123456), "2026-11-24T06:04:05.123456+00:00", 0},
    {"IST-5:30", UINT64_C(1795500245000001), "2026-11-24T11:34:05.000001+05:30", 330},
    {"NST3:30NDT,M3.2.0,M11.1.0", UINT64_C(1795500245000000), "2026-11-24T02:34:05.000000-03:30",
     -210},
    {"CET-1CEST,M3.5.0,M10.5.0/3", UINT64_C(1782864000000000), "2026-07-01T02:00:00.000000+02:00",
     120},
    {"CET-1CEST,M3.5.0,M10.5.0/3", UINT64_C(1795500245000000), "2026-11-24T07:04:05.000000+01:00",
     60},
    {"UTC0", UINT64_C(4102444800000000), "2100-01-01T00:00:00.000000+00:00", 0},
};

START_TEST(local_time_has_its_offset)
{
	char text[CLOCK_TEXT_SIZE];
	setenv("TZ", cases[_i].zone, 1);
	clock_warm();
	ck_assert_uint_eq(clock_format_local(cases[_i].wall_us, text), strlen(cases[_i].text));
	ck_assert_str_eq(text, cases[_i].text);
	ck_assert_int_eq(clock_offset_minutes(cases[_i].wall_us), cases[_i].minutes);
}
END_TEST

START_TEST(no_time_is_too_far_for_the_text)
{
	char text[CLOCK_TEXT_SIZE];
	setenv("TZ", "UTC0", 1);
	clock_warm();
	ck_assert_uint_eq(clock_format_local(UINT64_MAX, text), strlen(text));
	ck_assert_uint_lt(strlen(text), CLOCK_TEXT_SIZE);
}
END_TEST

START_TEST(clocks_go_on)
{
	uint64_t boot = clock_boot_us(), wall = clock_wall_us();
	ck_assert_uint_gt(wall, UINT64_C(1700000000) * CLOCK_SECOND);
	while (clock_boot_us() < boot + 10)
		;
	ck_assert_uint_gt(clock_boot_us(), boot);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("clock");
	tcase_add_loop_test(tc, local_time_has_its_offset, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, no_time_is_too_far_for_the_text);
	tcase_add_test(tc, clocks_go_on);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
