/*
 * agents: what they hold when they, or the manager, die.
 */
#include "tests/unit/manager/house.h"

static void tell_held(const struct seen *j)
{
	struct job_holding m = {j->message, j->recipient, j->attempt};
	ck_assert(channel_send(house.agents[j->agent], JOB_HOLDING, &m));
}

/* What is told here was read by the manager before it answers the next question. */
static void settle(void)
{
	ask(QUEUE_STATUS, 0);
	ask(QUEUE_STATUS, 0);
}

START_TEST(what_kills_agents_alone_is_set_aside_and_nothing_else)
{
	uint64_t poison = send_to("poison@trial.example"), good = send_to("bob@trial.example");
	size_t deaths = 0, tried = 4;
	job(1);
	agent_again(AGENT_LOCAL);
	ck_assert_uint_eq(job(2)->agent, AGENT_LOCAL_SUSPECTS);
	ck_assert_uint_eq(job(3)->agent, AGENT_LOCAL_SUSPECTS);
	agent_again(AGENT_LOCAL_SUSPECTS);
	while (deaths < 3) {
		struct seen *j = job(tried++);
		ck_assert_uint_eq(j->agent, AGENT_LOCAL_SUSPECTS);
		settle();
		ck_assert_uint_eq(house.job_count, tried); /* one at a time */
		if (j->message == poison) {
			agent_again(AGENT_LOCAL_SUSPECTS);
			deaths++;
		} else
			answer(j, JOB_DELIVERED, 250, false);
	}
	run_until_state(poison, "corrupt");
	if (tried == 7)
		answer(job(tried), JOB_DELIVERED, 250, false);
	run_until_state(good, "");
	/* Nothing is suspect any more. */
	send_to("bob@trial.example");
	ck_assert_uint_eq(job(8)->agent, AGENT_LOCAL);
}
END_TEST

/* Among them is one that takes hours, and none that kills. */
START_TEST(suspects_do_not_wait_for_one_another)
{
	enum { MANY = 50 };
	for (size_t i = 0; i < MANY; i++)
		send_to("bob@trial.example");
	job(MANY - 1);
	agent_again(AGENT_LOCAL);
	job(MANY + SUSPECTS_TOGETHER - 1);
	settle();
	ck_assert_uint_eq(house.job_count, MANY + SUSPECTS_TOGETHER);
	for (size_t i = MANY + 1; i < 2 * MANY; i++) {
		ck_assert_uint_eq(job(i)->agent, AGENT_LOCAL_SUSPECTS);
		answer(&house.jobs[i], JOB_DELIVERED, 250, false);
	}
	run_until_noted(&house.jobs[2 * MANY - 1]);
	ck_assert_str_eq(state_of(house.jobs[MANY].message), "active");
}
END_TEST

START_TEST(a_suspect_stays_one_when_the_manager_dies)
{
	uint64_t poison = send_to("poison@trial.example");
	job(0);
	agent_again(AGENT_LOCAL);
	ck_assert_uint_eq(job(1)->agent, AGENT_LOCAL_SUSPECTS);
	agent_again(AGENT_LOCAL_SUSPECTS);
	ck_assert_uint_eq(job(2)->agent, AGENT_LOCAL_SUSPECTS);
	house_end();
	house_begin();
	agent_start(AGENT_LOCAL);
	agent_start(AGENT_LOCAL_SUSPECTS);
	ck_assert_uint_eq(job(3)->agent, AGENT_LOCAL_SUSPECTS);
	agent_again(AGENT_LOCAL_SUSPECTS);
	job(4);
	agent_again(AGENT_LOCAL_SUSPECTS);
	run_until_state(poison, "corrupt");
}
END_TEST

/* A job that an agent has from a former manager counts: it is not alone. */
START_TEST(a_suspect_waits_for_what_its_agent_holds_still)
{
	struct seen *old, *young;
	send_to("bob@trial.example");
	job(0);
	agent_again(AGENT_LOCAL);
	old = job(1);
	ck_assert_uint_eq(old->agent, AGENT_LOCAL_SUSPECTS);
	house_end();
	house_begin();
	agent_start(AGENT_LOCAL);
	agent_link(AGENT_LOCAL_SUSPECTS);
	tell_held(old);
	agent_told(AGENT_LOCAL_SUSPECTS);
	young = job((send_to("alice@trial.example"), 2));
	ck_assert_uint_eq(young->agent, AGENT_LOCAL);
	agent_again(AGENT_LOCAL);
	settle();
	ck_assert_uint_eq(house.job_count, 3);
	answer(old, JOB_DELIVERED, 250, false);
	ck_assert_str_eq(job(3)->user, "alice");
}
END_TEST

START_TEST(a_job_that_outlives_the_manager_is_not_repeated)
{
	struct seen *j;
	uint64_t id = send_to("bob@trial.example");
	j = job(0);
	house_end();
	house_begin();
	agent_start(AGENT_LOCAL_SUSPECTS);
	agent_link(AGENT_LOCAL);
	tell_held(j);
	agent_told(AGENT_LOCAL);
	settle();
	answer(j, JOB_DELIVERED, 250, false);
	run_until_noted(j);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

/* Whoever looks at the message meanwhile changes nothing. */
START_TEST(a_list_does_not_take_back_what_an_agent_holds)
{
	struct seen *j;
	uint64_t id = send_to("bob@trial.example");
	j = job(0);
	house_end();
	house_begin();
	ck_assert_str_ne(state_of(id), "");
	agent_start(AGENT_LOCAL_SUSPECTS);
	agent_link(AGENT_LOCAL);
	tell_held(j);
	agent_told(AGENT_LOCAL);
	settle();
	ck_assert_str_ne(state_of(id), "");
	answer(j, JOB_DELIVERED, 250, false);
	run_until_noted(j);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

/* The outcome was kept; its agent dies as soon as it has told it again. */
START_TEST(an_outcome_counts_though_its_agent_dies_at_once)
{
	struct seen *j;
	uint64_t id = send_to("bob@trial.example"), late;
	j = job(0);
	house_end();
	house_begin();
	agent_start(AGENT_LOCAL_SUSPECTS);
	agent_link(AGENT_LOCAL);
	answer(j, JOB_DELIVERED, 250, false);
	agent_told(AGENT_LOCAL);
	settle();
	agent_again(AGENT_LOCAL);
	late = send_to("alice@trial.example");
	ck_assert_uint_eq(job(1)->message, late);
	run_until_state(id, "");
}
END_TEST

/* It was deferred: what the agent says of it now was never asked. */
START_TEST(no_agent_ends_what_it_does_not_have)
{
	struct seen *j;
	uint64_t id;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agents_start();
	id = send_to("bob@trial.example");
	j = job(0);
	answer(j, JOB_DEFERRED, 450, false);
	run_until_state(id, "deferred");
	answer(j, JOB_DELIVERED, 250, false);
	settle();
	ck_assert_str_eq(state_of(id), "deferred");
	ck_assert_str_eq(house.statuses, "d");
}
END_TEST

START_TEST(what_is_not_held_any_more_is_tried_again)
{
	uint64_t id = send_to("bob@trial.example");
	job(0);
	house_end();
	house_begin();
	agent_start(AGENT_LOCAL_SUSPECTS);
	agent_start(AGENT_LOCAL);
	ck_assert_uint_eq(job(1)->message, id);
	ck_assert_uint_eq(job(1)->attempt, 2);
}
END_TEST

static void system_setup(void)
{
	house_end();
	house.system_users = true;
	house_begin();
	agents_start();
}

/* It may hold what another manager gave it. */
START_TEST(the_agent_of_system_users_is_waited_for_when_there_are_some)
{
	system_setup();
	send_to("bob@trial.example");
	settle();
	ck_assert_uint_eq(house.job_count, 0);
	agent_start(AGENT_SYSTEM);
	ck_assert_uint_eq(job(0)->agent, AGENT_LOCAL);
}
END_TEST

START_TEST(mail_of_system_users_goes_to_their_agent)
{
	uint64_t id;
	system_setup();
	agent_start(AGENT_SYSTEM);
	id = send_to("root@system.example");
	ck_assert_uint_eq(job(0)->agent, AGENT_SYSTEM);
	ck_assert_str_eq(job(0)->user, "root");
	answer(job(0), JOB_DELIVERED, 250, false);
	run_until_noted(job(0));
	run_until_state(id, "");
}
END_TEST

/* There is one alone: what it held goes one at a time, and the others wait for that. */
START_TEST(suspects_of_the_only_agent_go_alone)
{
	uint64_t poison, good, late;
	size_t seen = 2, deaths = 0;
	system_setup();
	agent_start(AGENT_SYSTEM);
	poison = send_to("poison@system.example");
	good = send_to("bob@system.example");
	job(1);
	agent_again(AGENT_SYSTEM);
	late = send_to("late@system.example");
	while (deaths < 3) {
		struct seen *j = job(seen++);
		settle();
		ck_assert_uint_eq(house.job_count, seen);
		if (j->message == poison) {
			agent_again(AGENT_SYSTEM);
			deaths++;
		} else
			answer(j, JOB_DELIVERED, 250, false);
	}
	run_until_state(poison, "corrupt");
	house.delivers = true;
	for (size_t i = 0; i < house.job_count; i++)
		if (!house.jobs[i].answered && house.jobs[i].message != poison && i >= 5)
			answer(&house.jobs[i], JOB_DELIVERED, 250, false);
	run_until_state(good, "");
	run_until_state(late, "");
}
END_TEST

static void drain(void)
{
	struct master_drain m = {.limit = 10000000};
	channel_send(house.master, MASTER_DRAIN, &m);
}

START_TEST(a_drain_waits_for_what_is_out)
{
	struct seen *j;
	send_to("bob@trial.example");
	j = job(0);
	drain();
	settle();
	ck_assert(!house.drained);
	answer(j, JOB_DELIVERED, 250, false);
	run_until(is_drained);
}
END_TEST

START_TEST(a_drain_ends_when_the_agents_die)
{
	uint64_t id = send_to("bob@trial.example");
	job(0);
	drain();
	agent_kill(AGENT_LOCAL);
	agent_kill(AGENT_LOCAL_SUSPECTS);
	run_until(is_drained);
	house_end();
	house_begin();
	ck_assert_str_ne(state_of(id), "");
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("agents");
	TCase *c = tcase_create("agents");
	tcase_add_checked_fixture(c, house_setup, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_kills_agents_alone_is_set_aside_and_nothing_else);
	tcase_add_test(c, suspects_do_not_wait_for_one_another);
	tcase_add_test(c, a_suspect_stays_one_when_the_manager_dies);
	tcase_add_test(c, a_suspect_waits_for_what_its_agent_holds_still);
	tcase_add_test(c, a_job_that_outlives_the_manager_is_not_repeated);
	tcase_add_test(c, a_list_does_not_take_back_what_an_agent_holds);
	tcase_add_test(c, an_outcome_counts_though_its_agent_dies_at_once);
	tcase_add_test(c, no_agent_ends_what_it_does_not_have);
	tcase_add_test(c, what_is_not_held_any_more_is_tried_again);
	tcase_add_test(c, the_agent_of_system_users_is_waited_for_when_there_are_some);
	tcase_add_test(c, mail_of_system_users_goes_to_their_agent);
	tcase_add_test(c, suspects_of_the_only_agent_go_alone);
	tcase_add_test(c, a_drain_waits_for_what_is_out);
	tcase_add_test(c, a_drain_ends_when_the_agents_die);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
