/*
 * How long an ended daemon waits.
 */
#include <check.h>
#include <stddef.h>

#include "master/backoff.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static const struct {
	uint64_t served, wait;
} ends[] = {
    {0, 100 * MS},	/* the first end */
    {0, 200 * MS},	/* doubles */
    {59 * S, 400 * MS}, /* under a minute of service does not count */
    {0, 800 * MS},	{0, 1600 * MS},	      {0, 3200 * MS},	    {0, 5 * S}, /* not longer */
    {0, 5 * S},		{60 * S, 100 * MS}, /* a minute of service: as new */
    {0, 200 * MS},	{3600 * S, 100 * MS}, {3600 * S, 100 * MS},
};

START_TEST(doubles_to_five_seconds_and_forgets_after_a_minute)
{
	struct backoff b = {0};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		ck_assert_uint_eq(backoff_next(&b, ends[i].served), ends[i].wait);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backoff");
	TCase *t = tcase_create("waits");
	SRunner *sr;
	int failed;
	tcase_add_test(t, doubles_to_five_seconds_and_forgets_after_a_minute);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
