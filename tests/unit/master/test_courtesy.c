/*
 * When the daemons run under SCHED_BATCH, and when not.
 */
#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/courtesy.h"

/* One second in which it got a processor so many times, and waited so long for each. */
static bool second(struct courtesy *c, struct policy_waits *w, uint64_t times, uint64_t mean_us)
{
	w->times += times;
	w->waited_ns += times * mean_us * 1000;
	return courtesy_judge(c, w);
}

START_TEST(who_waits_little_stays_under_batch)
{
	struct courtesy c = {.batch = true};
	struct policy_waits w = {0};
	second(&c, &w, 1, 0); /* the first look */
	for (int i = 0; i < 1000; i++)
		ck_assert(!second(&c, &w, 10000, COURTESY_WAIT_US - 1));
	ck_assert(c.batch);
}
END_TEST

START_TEST(who_is_seldom_there_proves_nothing)
{
	struct courtesy c = {.batch = true};
	struct policy_waits w = {0};
	second(&c, &w, 1, 0); /* the first look */
	ck_assert(!second(&c, &w, 0, 0));
	ck_assert(!second(&c, &w, COURTESY_TIMES_MIN - 1, 100000));
	ck_assert(c.batch);
}
END_TEST

START_TEST(a_long_wait_ends_batch_for_a_minute)
{
	struct courtesy c = {.batch = true};
	struct policy_waits w = {0};
	second(&c, &w, 1, 0); /* the first look */
	ck_assert(second(&c, &w, COURTESY_TIMES_MIN, COURTESY_WAIT_US));
	ck_assert(!c.batch);
	for (int i = 1; i < COURTESY_PAUSE_S; i++)
		ck_assert(!second(&c, &w, 1000, 0));
	ck_assert(second(&c, &w, 1000, 0));
	ck_assert(c.batch);
	ck_assert(second(&c, &w, 1000, COURTESY_WAIT_US)); /* the others are there still */
}
END_TEST

START_TEST(a_new_process_is_judged_from_its_second_look)
{
	struct courtesy c = {.batch = true};
	struct policy_waits w = {.waited_ns = UINT64_C(90000000000), .times = 1000};
	ck_assert(!courtesy_judge(&c, &w)); /* what its start took */
	w = (struct policy_waits){.waited_ns = UINT64_C(9000000000), .times = 100};
	ck_assert(!courtesy_judge(&c, &w));
	ck_assert(second(&c, &w, 100, COURTESY_WAIT_US));
}
END_TEST

START_TEST(the_policy_of_a_process_is_seen_and_set)
{
	struct policy_waits w;
	int fds[2];
	char octet;
	ck_assert_int_eq(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		close(fds[1]);
		_exit(read(fds[0], &octet, 1) == 0 ? 0 : 1);
	}
	close(fds[0]);
	policy_set(child, true);
	ck_assert_int_eq(sched_getscheduler(child), SCHED_BATCH);
	policy_set(child, false);
	ck_assert_int_eq(sched_getscheduler(child), SCHED_OTHER);
	ck_assert(policy_waits(child, &w));
	close(fds[1]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!policy_waits(child, &w));
	policy_set(child, true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("courtesy");
	TCase *tc = tcase_create("courtesy");
	tcase_add_test(tc, who_waits_little_stays_under_batch);
	tcase_add_test(tc, who_is_seldom_there_proves_nothing);
	tcase_add_test(tc, a_long_wait_ends_batch_for_a_minute);
	tcase_add_test(tc, a_new_process_is_judged_from_its_second_look);
	tcase_add_test(tc, the_policy_of_a_process_is_seen_and_set);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
