/*
 * admin: what an administrator does to messages, at rest and while agents have them.
 */
#include "tests/unit/manager/house.h"

START_TEST(a_held_message_waits_until_it_is_released)
{
	uint64_t id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	run_until_state(id, "active");
	answer(job(1), JOB_DEFERRED, 451, false);
	run_until_noted(job(1));
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 1);
	run_until_state(id, "hold");
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 0);
	ck_assert_uint_eq(house.done_code, 1);
	ck_assert_uint_eq(ask(QUEUE_RELEASE, id), 1);
	answer(job(house.job_count), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

/* S60: hold acts on the whole message; the delivery under way counts. */
START_TEST(a_message_held_while_it_is_out_takes_its_outcome)
{
	uint64_t id = send_to("bob@trial.example");
	struct seen *j = job(0);
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 1);
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 0);
	ck_assert_str_eq(state_of(id), "active");
	answer(j, JOB_DEFERRED, 451, false);
	run_until_state(id, "hold");
	ck_assert_str_eq(house.statuses, "d");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

START_TEST(a_message_held_while_its_agent_dies_is_not_tried_again)
{
	uint64_t id = send_to("bob@trial.example");
	job(0);
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 1);
	agent_kill(AGENT_LOCAL);
	run_until_state(id, "hold");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

START_TEST(a_hold_that_is_not_there_yet_can_be_released)
{
	uint64_t id = send_to("bob@trial.example");
	struct seen *j = job(0);
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 1);
	ck_assert_uint_eq(ask(QUEUE_RELEASE, id), 1);
	answer(j, JOB_DEFERRED, 451, false);
	answer(job(1), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

/* Over a user's limit: taken, and for an administrator to look at. */
START_TEST(a_message_that_arrives_held_is_tried_when_it_is_released)
{
	uint64_t id, next;
	house.hold = "60 messages an hour";
	id = send_to("bob@trial.example");
	run_until_state(id, "hold");
	ck_assert_str_eq(house.items[0].remark, "60 messages an hour");
	house.hold = NULL;
	next = send_to("bob@trial.example");
	answer(job(0), JOB_DELIVERED, 250, false);
	ck_assert_uint_eq(job(0)->message, next);
	run_until_state(next, ""); /* else it is tried again after the restart */
	house_end();
	house_begin();
	agents_start();
	run_until_state(id, "hold");
	ck_assert_str_eq(house.items[0].remark, "60 messages an hour");
	ck_assert_uint_eq(house.job_count, 1);
	ck_assert_uint_eq(ask(QUEUE_RELEASE, id), 1);
	answer(job(1), JOB_DEFERRED, 451, false);
	run_until_state(id, "active");
	ck_assert_str_eq(house.items[0].remark, "");
	answer(job(2), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

START_TEST(messages_are_named_by_the_user_who_sent_them)
{
	uint64_t hers, his;
	house.hold = "so that they wait";
	house.user = "alice@trial.example";
	hers = send_to("bob@trial.example");
	house.user = "bob@trial.example";
	his = send_to("bob@trial.example");
	run_until_state(his, "hold");
	ck_assert_str_eq(house.items[0].user, "bob@trial.example");
	ck_assert_uint_eq(ask_user(QUEUE_LIST, "Alice@trial.example"), 1);
	ck_assert_uint_eq(house.items[0].id, hers);
	ck_assert_uint_eq(ask_user(QUEUE_LIST, "@trial.example"), 2);
	ck_assert_uint_eq(ask_user(QUEUE_HOLD, "alice@trial.example"), 0);
	ck_assert_uint_eq(ask_user(QUEUE_RELEASE, "alice@trial.example"), 1);
	answer(job(0), JOB_DELIVERED, 250, false);
	run_until_state(hers, "");
	ck_assert_uint_eq(ask_user(QUEUE_DELETE, "bob@trial.example"), 1);
	run_until_state(his, "");
}
END_TEST

START_TEST(a_message_deleted_while_it_is_out_ends_with_its_outcome)
{
	uint64_t id = send_to("bob@trial.example");
	struct seen *j = job(0);
	ck_assert_uint_eq(ask(QUEUE_DELETE, id), 1);
	ck_assert_uint_eq(ask(QUEUE_DELETE, id), 0);
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 0);
	answer(j, JOB_DEFERRED, 451, false);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

START_TEST(a_deleted_message_is_not_there_after_a_crash)
{
	uint64_t id;
	ask(QUEUE_STATUS, 0); /* the agents have told */
	agent_kill(AGENT_LOCAL);
	id = send_to("bob@trial.example");
	run_until_state(id, "active");
	ck_assert_uint_eq(ask(QUEUE_DELETE, id), 1);
	run_until_state(id, "");
	house_end();
	house_begin();
	ck_assert_str_eq(state_of(id), "");
	ask(QUEUE_VERIFY, 0);
	ck_assert_uint_eq(house.done_code, 0);
}
END_TEST

START_TEST(retry_makes_deferred_mail_due)
{
	uint64_t id;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agent_start(AGENT_LOCAL);
	agent_start(AGENT_LOCAL_SUSPECTS);
	id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	run_until_state(id, "deferred");
	ck_assert_uint_eq(ask(QUEUE_RETRY, id), 1);
	answer(job(1), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

/* Its answer would be taken for one to a question of the new control. */
START_TEST(a_new_control_hears_nothing_of_the_old_one)
{
	struct queue_ask m = {.request = 1, .verb = QUEUE_VERIFY};
	send_to("bob@trial.example");
	job(0);
	ck_assert(channel_send(house.control, QUEUE_ASK, &m));
	channel_free(&house.control);
	house.control = link_peer("control", 0, &queue_dialogue, control_side);
	house.asked = 1;
	ask(QUEUE_STATUS, 0);
	while (ask(QUEUE_VERIFY, 0) == 0) /* until the former is over */
		;
	ck_assert_uint_eq(house.dones, house.asked - 1);
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("admin");
	TCase *c = tcase_create("admin");
	tcase_add_checked_fixture(c, house_setup, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_held_message_waits_until_it_is_released);
	tcase_add_test(c, a_message_held_while_it_is_out_takes_its_outcome);
	tcase_add_test(c, a_message_held_while_its_agent_dies_is_not_tried_again);
	tcase_add_test(c, a_hold_that_is_not_there_yet_can_be_released);
	tcase_add_test(c, a_message_that_arrives_held_is_tried_when_it_is_released);
	tcase_add_test(c, messages_are_named_by_the_user_who_sent_them);
	tcase_add_test(c, a_message_deleted_while_it_is_out_ends_with_its_outcome);
	tcase_add_test(c, a_deleted_message_is_not_there_after_a_crash);
	tcase_add_test(c, retry_makes_deferred_mail_due);
	tcase_add_test(c, a_new_control_hears_nothing_of_the_old_one);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
