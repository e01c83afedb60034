/*
 * smtp: recipients become jobs by where they go: sites, windows, outcomes one by one.
 */
#include "tests/unit/manager/house.h"

static uint64_t send_list(const char *const *to, uint32_t count)
{
	return send_mail(to, count, 100);
}

static void answer_all(enum job_status status, uint32_t code)
{
	for (size_t i = 0; i < house.job_count; i++)
		if (!house.jobs[i].answered)
			answer(&house.jobs[i], status, code, false);
}

static size_t starts(void)
{
	size_t count = 0;
	for (size_t i = 0; i < house.job_count; i++)
		count += house.jobs[i].start == i;
	return count;
}

START_TEST(recipients_of_one_domain_are_one_job)
{
	const char *const to[] = {"a@one.example", "b@one.example", "c@one.example"};
	uint64_t id = send_list(to, 3);
	job(2);
	ck_assert_uint_eq(starts(), 1);
	ck_assert_uint_eq(house.site_questions, 1);
	ck_assert_uint_eq(house.jobs[0].agent, AGENT_SMTP);
	ck_assert_str_eq(house.jobs[0].next_hop, "one.example");
	ck_assert_str_eq(house.jobs[0].destination, "mx.one.example:25");
	answer_all(JOB_DELIVERED, 250);
	run_until_state(id, "");
}
END_TEST

START_TEST(a_job_has_at_most_a_hundred_recipients)
{
	static char names[250][32];
	const char *to[250];
	uint64_t id;
	for (int i = 0; i < 250; i++) {
		snprintf(names[i], sizeof(names[i]), "user%d@one.example", i);
		to[i] = names[i];
	}
	id = send_list(to, 250);
	job(249);
	ck_assert_uint_eq(starts(), 3);
	ck_assert_uint_eq(house.jobs[99].start, 0);
	ck_assert_uint_eq(house.jobs[100].start, 100);
	answer_all(JOB_DELIVERED, 250);
	run_until_state(id, "");
}
END_TEST

START_TEST(local_and_remote_recipients_go_their_ways)
{
	const char *const to[] = {"bob@trial.example", "a@one.example"};
	uint64_t id = send_list(to, 2);
	job(1);
	ck_assert_uint_ne(house.jobs[0].agent, house.jobs[1].agent);
	answer_all(JOB_DELIVERED, 250);
	run_until_state(id, "");
}
END_TEST

/* Each job has one next hop, though they share the destination. */
START_TEST(domains_of_one_site_share_a_destination)
{
	const char *const to[] = {"a@a.site.example", "b@b.site.example", "c@a.site.example"};
	uint64_t id = send_list(to, 3);
	job(2);
	ck_assert_uint_eq(starts(), 2);
	ck_assert_uint_eq(house.site_questions, 2);
	for (int i = 0; i < 3; i++)
		if (house.jobs[i].start == (size_t)i)
			ck_assert_str_eq(house.jobs[i].destination, "mx.site.example:25");
	answer_all(JOB_DELIVERED, 250);
	run_until_state(id, "");
}
END_TEST

START_TEST(a_host_in_brackets_is_its_own_destination)
{
	send_to("a@fixed.example");
	job(0);
	ck_assert_str_eq(house.jobs[0].destination, "[relay.example]:25");
	ck_assert_uint_eq(house.site_questions, 0);
}
END_TEST

/* smtp walks on to the second item, whatever the first one's domain is like. */
START_TEST(a_next_hop_with_more_items_survives_a_domain_that_does_not_exist)
{
	send_to("a@chain.example");
	job(0);
	ck_assert_str_eq(house.jobs[0].destination, "chain.example:26 [relay.example]:25");
}
END_TEST

START_TEST(a_site_is_asked_for_once)
{
	send_to("a@one.example");
	job(0);
	send_to("b@one.example");
	job(1);
	ck_assert_uint_eq(house.site_questions, 1);
}
END_TEST

START_TEST(one_question_serves_all_that_wait)
{
	house.resolver_silent = true;
	for (int i = 0; i < 5; i++)
		send_to("a@one.example");
	house.resolver_silent = false;
	run_until_questions(5);
	channel_free(&house.resolver);
	house.resolver = link_peer("resolver", 0, &resolver_dialogue, resolver_side);
	job(4);
	ck_assert_uint_le(house.site_questions, 2);
}
END_TEST

START_TEST(a_domain_that_can_not_be_looked_up_waits)
{
	uint64_t id = send_to("a@later.example");
	run_until_state(id, "deferred");
	ck_assert_str_eq(house.statuses, "d");
	ck_assert_uint_eq(house.site_questions, 1);
}
END_TEST

START_TEST(a_slow_domain_does_not_hold_the_others_for_long)
{
	const char *const to[] = {"a@one.example", "b@slow.example"};
	send_to("x@one.example");
	job(0);
	house.resolver_silent = true;
	send_list(to, 2);
	ck_assert_str_eq(job(1)->address, "a@one.example");
}
END_TEST

START_TEST(each_recipient_has_its_own_outcome)
{
	const char *const to[] = {"a@one.example", "b@one.example", "c@one.example"};
	uint64_t id;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agents_start();
	id = send_list(to, 3);
	job(2);
	answer(&house.jobs[1], JOB_DEFERRED, 450, false);
	answer(&house.jobs[0], JOB_DELIVERED, 250, false);
	run_until_noted(&house.jobs[0]);
	ck_assert_str_eq(state_of(id), "active");
	ck_assert_str_eq(house.statuses, "Dda");
	answer(&house.jobs[2], JOB_DELIVERED, 250, false);
	run_until_state(id, "deferred");
	ck_assert_str_eq(house.statuses, "DdD");
	ck_assert_uint_eq(ask(QUEUE_RETRY, id), 1);
	ck_assert_uint_eq(job(3)->attempt, 2);
	ck_assert_str_eq(job(3)->address, "b@one.example");
}
END_TEST

START_TEST(the_log_says_local_only_of_a_local_agent)
{
	uint64_t id = send_to("a@one.example");
	answer(job(0), JOB_DEFERRED, 450, false);
	run_until_state(id, "deferred");
	ck_assert(house_logged("to=a@one.example relay=none "));
	id = send_to("bob@trial.example");
	answer(job(1), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
	ck_assert(house_logged("to=bob@trial.example relay=local "));
}
END_TEST

static void two_days(void)
{
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agents_start();
}

/* S47: three sessions that fail; what comes then is not tried, waits and comes back with it. */
START_TEST(a_dead_site_parks_the_mail_of_all_its_domains)
{
	uint64_t parked;
	two_days();
	for (size_t i = 0; i < 4; i++) {
		send_to(i % 2 ? "a@a.site.example" : "b@b.site.example");
		job(i);
	}
	for (int i = 0; i < 3; i++) {
		answer(&house.jobs[i], JOB_DEFERRED, 421, true);
		run_until_noted(&house.jobs[i]);
	}
	parked = send_to("c@c.site.example");
	run_until_state(parked, "deferred");
	ck_assert_uint_eq(house.job_count, 4);
	answer(&house.jobs[3], JOB_DELIVERED, 250, false);
	job(5);
	ck_assert(house.jobs[4].message == parked || house.jobs[5].message == parked);
}
END_TEST

START_TEST(an_administrator_sees_the_destinations)
{
	uint64_t parked;
	two_days();
	send_to("a@a.site.example");
	job(0);
	ck_assert_uint_eq(ask(QUEUE_DESTINATIONS, 0), 1);
	ck_assert_str_eq(house.destination_key, "mx.site.example:25");
	ck_assert_uint_eq(house.destination.out, 1);
	ck_assert_uint_eq(house.destination.window, 20);
	for (size_t i = 1; i < 3; i++) {
		send_to("b@b.site.example");
		job(i);
	}
	for (int i = 0; i < 3; i++) {
		answer(&house.jobs[i], JOB_DEFERRED, 421, true);
		run_until_noted(&house.jobs[i]);
	}
	parked = send_to("c@c.site.example");
	run_until_state(parked, "deferred");
	ck_assert_uint_eq(ask(QUEUE_DESTINATIONS, 0), 1);
	ck_assert_uint_eq(house.destination.deferred, 2);
	ck_assert_uint_eq(house.destination.failures, 3);
	ck_assert_uint_gt(house.destination.dead_until, 0);
	ck_assert_str_eq(house.destination_reply, "421 4.2.0 as told");
}
END_TEST

START_TEST(refused_recipients_leave_the_site_alive)
{
	two_days();
	for (size_t i = 0; i < 6; i++) {
		send_to("a@one.example");
		answer(job(i), JOB_DEFERRED, 450, false);
		run_until_noted(&house.jobs[i]);
	}
}
END_TEST

/* All of the dead agent's recipients are tried again, where they can hurt nobody. */
START_TEST(what_smtp_died_of_goes_alone_and_is_set_aside)
{
	const char *const to[] = {"a@one.example", "b@one.example"};
	uint64_t id, good;
	manager.started = 0; /* arrivals are known by the second: this mail is of this life */
	id = send_list(to, 2);
	job(1);
	answer(&house.jobs[0], JOB_DELIVERED, 250, false);
	run_until_noted(&house.jobs[0]);
	ck_assert(!house.jobs[0].again);
	agent_again(AGENT_SMTP);
	for (size_t i = 2; i < 5; i++) {
		ck_assert(job(i)->again);
		ck_assert_uint_eq(job(i)->agent, AGENT_SMTP_SUSPECTS);
		ck_assert_str_eq(house.jobs[i].address, "b@one.example");
		agent_again(AGENT_SMTP_SUSPECTS);
	}
	run_until_state(id, "corrupt");
	good = send_to("c@one.example");
	ck_assert_uint_eq(job(5)->agent, AGENT_SMTP);
	answer(&house.jobs[5], JOB_DELIVERED, 250, false);
	run_until_state(good, "");
}
END_TEST

/* However they are mixed: a job is full, and none of a large message waits for all to be routed. */
START_TEST(a_message_to_many_goes_in_full_jobs)
{
	enum { DOMAINS = 30, EACH = 100, MANY = DOMAINS * EACH };
	static char names[MANY][48];
	static const char *to[MANY];
	uint64_t id;
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "user%d@d%d.example", i, i % DOMAINS);
		to[i] = names[i];
	}
	house.delivers = true;
	id = send_list(to, MANY);
	job(MANY - 1);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, MANY);
	ck_assert_uint_eq(starts(), DOMAINS);
}
END_TEST

START_TEST(ten_thousand_recipients_do_not_take_long)
{
	enum { MANY = 1000, MESSAGES = 4 };
	static char names[MANY][48];
	const char *to[MANY];
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "user%d@d%d.site.example", i, i % 50);
		to[i] = names[i];
	}
	house.delivers = true;
	for (int i = 0; i < MESSAGES; i++)
		send_list(to, MANY);
	job(MESSAGES * MANY - 1);
	ck_assert_uint_le(house.site_questions, 50);
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("smtp");
	TCase *c = tcase_create("smtp");
	tcase_add_checked_fixture(c, house_setup, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, recipients_of_one_domain_are_one_job);
	tcase_add_test(c, a_job_has_at_most_a_hundred_recipients);
	tcase_add_test(c, local_and_remote_recipients_go_their_ways);
	tcase_add_test(c, domains_of_one_site_share_a_destination);
	tcase_add_test(c, a_host_in_brackets_is_its_own_destination);
	tcase_add_test(c, a_next_hop_with_more_items_survives_a_domain_that_does_not_exist);
	tcase_add_test(c, a_site_is_asked_for_once);
	tcase_add_test(c, one_question_serves_all_that_wait);
	tcase_add_test(c, a_domain_that_can_not_be_looked_up_waits);
	tcase_add_test(c, a_slow_domain_does_not_hold_the_others_for_long);
	tcase_add_test(c, each_recipient_has_its_own_outcome);
	tcase_add_test(c, the_log_says_local_only_of_a_local_agent);
	tcase_add_test(c, a_dead_site_parks_the_mail_of_all_its_domains);
	tcase_add_test(c, an_administrator_sees_the_destinations);
	tcase_add_test(c, refused_recipients_leave_the_site_alive);
	tcase_add_test(c, what_smtp_died_of_goes_alone_and_is_set_aside);
	tcase_add_test(c, a_message_to_many_goes_in_full_jobs);
	tcase_add_test(c, ten_thousand_recipients_do_not_take_long);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
