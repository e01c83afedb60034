/*
 * The daemon's life and its talk with the queue manager: what is held is told, outcomes are kept
 * until they are noted, and what is under way goes on when the manager dies.
 */
#include "tests/unit/daemon-smtp/house.h"

#include "tests/unit/daemon-smtp/expect.h"

static void deliver(uint64_t message)
{
	struct job_start m = job_of(message, hops(1));
	start(&m);
}

START_TEST(outcomes_are_kept_until_they_are_noted)
{
	server_start(0, GOOD);
	for (uint64_t i = 1; i <= 3; i++)
		deliver(i);
	run_until_outcomes(3);
	deliver(2); /* held: ignored */
	note(2, 1);
	deliver(4); /* its outcome shows that what was sent before it was read */
	run_until_outcomes(4);
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(holding_count, 0);
	ck_assert_uint_eq(outcome_count, 3);
	ck_assert_uint_eq(outcomes[0].message + outcomes[1].message + outcomes[2].message,
			  1 + 3 + 4);
	expect("again", &outcomes[0], "1 250 2.6.0 - 1 taken");
	ck_assert_uint_eq(servers[0].messages, 4);
}
END_TEST

START_TEST(each_recipient_is_held_on_its_own)
{
	struct job_start m;
	server_start(0, GOOD);
	m = job_of(1, hops(1));
	start_to(m, 100);
	run_until_outcomes(100);
	for (uint32_t i = 1; i <= 100; i += 2)
		note(1, i);
	deliver(2);
	run_until_outcomes(101);
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(outcome_count, 51);
}
END_TEST

/* They share a list: memory of the one that is noted may be another job's by then. */
START_TEST(what_is_noted_hears_no_reply_to_the_rest_of_its_job)
{
	struct job_start m;
	char hop[40];
	server_start(0, HELLO "<MAIL\n<RCPT\n<RCPT\n<DATA\n>250 ok\n>550 no\n>250 ok\n"
			      "%\n>554 none\n<RSET\n>250 ok\n&");
	server_start(1, SLOW_HELLO "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n"
				   "%\n>354 go\n.\n>250 2.6.0 taken\n&");
	m = job_of(1, hops(1));
	start_to(m, 2);
	run_until_outcomes(1);
	expect("refused", &outcomes[0], "3 550 5.0.0 - 1 no");
	note(1, 1);
	snprintf(hop, sizeof(hop), "[127.0.0.2]:%u", server_port);
	m = job_of(2, hop);
	start(&m);
	run_until_heard(1, "DATA");
	server_go_on();
	run_until_outcomes(3);
	expect("the other", outcome_of(1, 2), "3 554 5.0.0 - 1 none");
	expect("another job", outcome_of(2, 1), "1 250 2.6.0 - 2 taken");
}
END_TEST

static bool has_two_connections(void)
{
	return servers[0].connections >= 2;
}

START_TEST(deliveries_go_on_when_the_manager_dies)
{
	struct job_start m;
	server_start(0, "&");
	m = job_of(1, hops(1));
	start_to(m, 3);
	deliver(2);
	deliver(3);
	run_until(has_two_connections);
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(holding_count, 5);
	ck_assert_uint_eq(outcome_count, 0);
	deliver(2);
	run_for(50000);
	ck_assert_uint_eq(outcome_count, 0);
}
END_TEST

/* A manager that dies between a job and its recipients never gave it. */
START_TEST(a_job_that_did_not_come_whole_is_none)
{
	struct job_start m;
	server_start(0, GOOD);
	m = job_of(1, hops(1));
	m.more = 2;
	start(&m);
	run_for(50000);
	channel_free(&manager);
	link_manager();
	run_until(has_ended);
	ck_assert_uint_eq(holding_count + outcome_count, 0);
	deliver(1);
	run_until_outcomes(1);
	ck_assert_uint_eq(servers[0].messages, 1);
}
END_TEST

/* A question is asked again of the next resolver. */
START_TEST(a_resolver_that_dies_is_asked_again)
{
	struct job_start m;
	server_start(0, GOOD);
	channel_free(&resolver);
	m = job_of(1, mx("m1.test"));
	start(&m);
	run_for(50000);
	ck_assert_uint_eq(outcome_count, 0);
	link_resolver();
	run_until_outcomes(1);
	expect("again", &outcomes[0], "1 250 2.6.0 - 1 taken");
	ck_assert_uint_gt(outcomes[0].setup_us, 40000);
	ck_assert_uint_lt(outcomes[0].transfer_us, 20000000);
}
END_TEST

START_TEST(a_drain_waits_for_what_is_under_way)
{
	struct master_drain drain = {0};
	server_start(0, GOOD);
	for (uint64_t i = 1; i <= 200; i++)
		deliver(i);
	run_until_outcomes(1);
	channel_send(master, MASTER_DRAIN, &drain);
	run_until_outcomes(200);
	run_until(is_drained);
	ck_assert_uint_eq(servers[0].messages, 200);
}
END_TEST

START_TEST(an_idle_daemon_drains_at_once)
{
	struct master_drain drain = {0};
	server_start(0, GOOD);
	deliver(1);
	run_until_outcomes(1);
	channel_send(master, MASTER_DRAIN, &drain);
	run_until(is_drained);
	run_until_heard(0, "QUIT");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("jobs");
	TCase *t = tcase_create("jobs");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, house_begin, house_end);
	tcase_set_timeout(t, 40);
	tcase_add_test(t, outcomes_are_kept_until_they_are_noted);
	tcase_add_test(t, each_recipient_is_held_on_its_own);
	tcase_add_test(t, what_is_noted_hears_no_reply_to_the_rest_of_its_job);
	tcase_add_test(t, deliveries_go_on_when_the_manager_dies);
	tcase_add_test(t, a_job_that_did_not_come_whole_is_none);
	tcase_add_test(t, a_resolver_that_dies_is_asked_again);
	tcase_add_test(t, a_drain_waits_for_what_is_under_way);
	tcase_add_test(t, an_idle_daemon_drains_at_once);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
