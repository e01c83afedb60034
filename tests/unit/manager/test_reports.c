/*
 * reports: what fails for good is told once, whoever dies when; and who is told what.
 */
#include "tests/unit/manager/house.h"

static void setup(void)
{
	house_setup();
	house.reports_at_once = true;
	bounce_start();
}

static void again(void)
{
	house_end();
	house_begin();
	agents_start();
	bounce_start();
}

START_TEST(what_fails_is_told_to_its_sender)
{
	uint64_t id = send_to("bob@trial.example");
	struct told *t;
	answer(job(0), JOB_FAILED, 550, false);
	t = report(0);
	ck_assert_uint_eq(t->parent, id);
	ck_assert_str_eq(t->to, "a@b.example");
	ck_assert_uint_eq(t->kind, BOUNCE_TO_SENDER);
	ck_assert_str_eq(t->actions, "F");
	ck_assert_str_eq(t->text, "as told");
	ck_assert_uint_eq(t->content, 100 + 12);
	run_until_state(id, "");
	/* The notification is mail. */
	ck_assert_str_eq(job(1)->address, "a@b.example");
	ck_assert_uint_eq(job(1)->agent, AGENT_SMTP);
}
END_TEST

START_TEST(a_recipient_that_the_router_refuses_is_told)
{
	uint64_t id = send_to("unknown@trial.example");
	ck_assert_str_eq(report(0)->text, "User unknown");
	run_until_state(id, "");
}
END_TEST

START_TEST(a_large_message_is_told_with_its_file)
{
	uint64_t id = send_mail((const char *[]){"unknown@trial.example"}, 1, 150000);
	ck_assert_uint_eq(report(0)->content, 0);
	run_until_state(id, "");
}
END_TEST

/* One notification for all that failed in this round; the others go on. */
START_TEST(failures_are_told_together_and_what_waits_waits)
{
	const char *const to[] = {"unknown@trial.example", "bob@trial.example", "al@trial.example",
				  "x@trial.example"};
	uint64_t id;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agents_start();
	bounce_start();
	id = send_mail(to, 4, 100);
	job(2);
	for (size_t i = 0; i < 3; i++)
		answer(&house.jobs[i],
		       house.jobs[i].recipient == 1   ? JOB_FAILED
		       : house.jobs[i].recipient == 2 ? JOB_DEFERRED
						      : JOB_DELIVERED,
		       550, false);
	ck_assert_str_eq(report(0)->actions, "FF");
	run_until_state(id, "deferred");
	ck_assert_str_eq(house.statuses, "bbdD");
	ck_assert_uint_eq(house.report_count, 1);
}
END_TEST

START_TEST(a_report_that_can_not_be_made_is_asked_for_again)
{
	uint64_t id = send_to("bob@trial.example");
	house.reports_at_once = false;
	answer(job(0), JOB_FAILED, 550, false);
	bounce_done(report(0), 0, false);
	run_until_state(id, "deferred");
	house.reports_at_once = true;
	report(1);
	run_until_state(id, "");
	ck_assert_uint_ne(job(1)->message, id);
}
END_TEST

START_TEST(a_report_on_damaged_content_sets_the_message_aside)
{
	uint64_t id = send_to("bob@trial.example");
	house.reports_at_once = false;
	answer(job(0), JOB_FAILED, 550, false);
	bounce_done(report(0), 0, true);
	run_until_state(id, "corrupt");
}
END_TEST

START_TEST(without_bounce_it_stays_in_the_queue)
{
	uint64_t id;
	bounce_kill();
	id = send_to("unknown@trial.example");
	run_until_state(id, "deferred");
	bounce_start();
	report(0);
	run_until_state(id, "");
}
END_TEST

/* The manager dies when bounce was asked: asked again, and told once. */
START_TEST(a_report_is_made_once_over_a_managers_death)
{
	uint64_t id = send_to("bob@trial.example");
	struct told *first;
	house.reports_at_once = false;
	answer(job(0), JOB_FAILED, 550, false);
	first = report(0);
	again();
	report(1);
	ck_assert_uint_eq(house.reports[1].mark, first->mark);
	bounce_make(&house.reports[1]);
	run_until_state(id, "");
	again();
	job(1);
	ask(QUEUE_STATUS, 0);
	ck_assert_uint_eq(house.report_count, 2);
}
END_TEST

/* Nobody waits for it: of a question that another manager had asked. */
START_TEST(a_notification_that_nobody_asked_for_is_refused)
{
	uint64_t id = send_to("bob@trial.example"), other;
	struct told wrong;
	house.reports_at_once = false;
	answer(job(0), JOB_FAILED, 550, false);
	wrong = *report(0);
	wrong.mark++;
	wrong.request = 1000;
	other = bounce_make(&wrong);
	ck_assert_str_eq(state_of(other), "");
	bounce_make(&house.reports[0]);
	run_until_state(id, "");
	job(1);
	ck_assert_uint_eq(house.job_count, 2);
}
END_TEST

static bool smtpd_is_cut_off(void)
{
	return !channel_alive(house.smtpd);
}

/* A taken-over smtpd can't end a failure in silence: only bounce reports. */
START_TEST(a_notification_by_another_than_bounce_is_a_lie)
{
	uint64_t id = send_to("bob@trial.example");
	house.reports_at_once = false;
	answer(job(0), JOB_FAILED, 550, false);
	house.forged = report(0);
	send_to("accomplice@trial.example");
	run_until(smtpd_is_cut_off);
	bounce_make(&house.reports[0]);
	run_until_state(id, "");
	ck_assert_str_eq(job(1)->address, "a@b.example");
}
END_TEST

START_TEST(a_bounce_that_fails_goes_to_the_postmaster)
{
	uint64_t id;
	house.sender = "";
	id = send_to("unknown@trial.example");
	ck_assert_uint_eq(report(0)->kind, BOUNCE_TO_POSTMASTER);
	ck_assert_str_eq(report(0)->to, "postmaster@trial.example");
	run_until_state(id, "");
	ck_assert_str_eq(job(0)->user, "postmaster");
}
END_TEST

/* S27: the third is dropped. */
START_TEST(a_report_to_the_postmaster_that_fails_is_dropped)
{
	house.sender = "";
	send_to("unknown@trial.example");
	ck_assert_str_eq(job(0)->user, "postmaster");
	answer(job(0), JOB_FAILED, 550, false);
	run_until_noted(job(0));
	run_until_state(job(0)->message, "");
	ck_assert_uint_eq(house.report_count, 1);
}
END_TEST

START_TEST(who_does_not_want_to_know_is_not_told)
{
	static const uint32_t silent[] = {NOTIFY_NEVER, NOTIFY_SUCCESS, NOTIFY_DELAY,
					  NOTIFY_SUCCESS | NOTIFY_DELAY};
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		house.notify = silent[i];
		send_to("unknown@trial.example");
		run_until_questions(i + 1);
		run_until_state(house.last_id, "");
	}
	ck_assert_uint_eq(house.report_count, 0);
	house.notify = NOTIFY_FAILURE | NOTIFY_SUCCESS;
	send_to("unknown@trial.example");
	report(0);
}
END_TEST

START_TEST(success_is_told_to_who_asked_for_it)
{
	uint64_t id;
	house.notify = NOTIFY_SUCCESS;
	id = send_to("bob@trial.example");
	answer(job(0), JOB_DELIVERED, 250, false);
	ck_assert_str_eq(report(0)->actions, "D");
	run_until_state(id, "");
}
END_TEST

/* RFC 3461 5.2.2: the next server tells it when it can, else we do. */
START_TEST(what_was_relayed_is_told_by_one_of_the_two)
{
	uint64_t id;
	house.notify = NOTIFY_SUCCESS;
	for (int offers = 0; offers < 2; offers++) {
		struct job_outcome o = {.status = JOB_DELIVERED,
					.code = 250,
					.enhanced = SLICE("2.0.0"),
					.relay = SLICE("mx.one.example[192.0.2.1]:25"),
					.dsn = offers};
		id = send_to("bob@one.example");
		o.message = id;
		o.recipient = job((size_t)offers)->recipient;
		o.attempt = 1;
		house.reports_at_once = false;
		ck_assert(channel_send(house.agents[AGENT_SMTP], JOB_OUTCOME, &o));
		if (!offers) {
			ck_assert_str_eq(report(0)->actions, "R");
			bounce_done(report(0), 0, false);
		} else
			run_until_state(id, "");
	}
	ck_assert_uint_eq(house.report_count, 1);
}
END_TEST

START_TEST(members_of_a_list_are_told_as_the_list)
{
	uint64_t id;
	house.notify = NOTIFY_SUCCESS;
	id = send_to("list2@trial.example");
	job(1);
	answer(&house.jobs[0], JOB_DELIVERED, 250, false);
	answer(&house.jobs[1], JOB_DELIVERED, 250, false);
	ck_assert_str_eq(report(0)->actions, "DD");
	run_until_state(id, "");
}
END_TEST

/* The outcome comes to a manager that has not read the message: who wants to know is asked then. */
START_TEST(success_is_told_though_the_manager_has_died_meanwhile)
{
	struct seen *j;
	struct job_holding held;
	uint64_t id;
	house.notify = NOTIFY_SUCCESS;
	id = send_to("bob@trial.example");
	j = job(0);
	held = (struct job_holding){j->message, j->recipient, j->attempt};
	house_end();
	house_begin();
	bounce_start();
	agent_start(AGENT_LOCAL_SUSPECTS);
	agent_link(AGENT_LOCAL);
	ck_assert(channel_send(house.agents[AGENT_LOCAL], JOB_HOLDING, &held));
	agent_told(AGENT_LOCAL);
	ask(QUEUE_STATUS, 0);
	answer(j, JOB_DELIVERED, 250, false);
	ck_assert_str_eq(report(0)->actions, "D");
	run_until_state(id, "");
}
END_TEST

static void bounce_again(void)
{
	bounce_kill();
	bounce_start();
}

/* Two are asked when it dies: one at a time then, and only what is alone counts. */
START_TEST(what_kills_bounce_alone_is_set_aside_and_nothing_else)
{
	uint64_t poison, good;
	size_t deaths = 0, seen = 2;
	house.reports_at_once = false;
	poison = send_to("unknown@trial.example");
	good = send_to("unknown@trial.example");
	report(1);
	bounce_again();
	while (deaths < 3) {
		struct told *t = report(seen++);
		ask(QUEUE_STATUS, 0);
		ck_assert_uint_eq(house.report_count, seen);
		if (t->parent == poison) {
			bounce_again();
			deaths++;
		} else
			bounce_make(t);
	}
	run_until_state(poison, "corrupt");
	if (seen == 5)
		bounce_make(report(5));
	run_until_state(good, "");
}
END_TEST

START_TEST(give_up_tells_how_long_it_was_tried)
{
	uint64_t id;
	house_end();
	house.retry.give_up = 1;
	house_begin();
	agents_start();
	bounce_start();
	id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	ck_assert_ptr_nonnull(strstr(report(0)->text, "given up after"));
	ck_assert_ptr_nonnull(strstr(report(0)->text, "as told"));
	run_until_state(id, "");
}
END_TEST

START_TEST(mail_of_the_null_sender_has_its_own_time)
{
	uint64_t id;
	house_end();
	house.retry.give_up_bounces = 1;
	house_begin();
	agents_start();
	bounce_start();
	id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	job(1);
	house.sender = "";
	id = send_to("bob@trial.example");
	answer(job(2), JOB_DEFERRED, 451, false);
	report(0);
	run_until_state(id, "");
}
END_TEST

START_TEST(an_administrator_returns_mail_at_rest_held_and_active)
{
	uint64_t id;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agents_start();
	bounce_start();
	id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	run_until_state(id, "deferred");
	ck_assert_uint_eq(ask(QUEUE_BOUNCE, id), 1);
	ck_assert_ptr_nonnull(strstr(report(0)->text, "administrator"));
	run_until_state(id, "");
	id = send_to("late@trial.example");
	answer(job(2), JOB_DEFERRED, 451, false);
	run_until_state(id, "deferred");
	ck_assert_uint_eq(ask(QUEUE_HOLD, id), 1);
	ck_assert_uint_eq(ask(QUEUE_BOUNCE, id), 1);
	report(1);
	run_until_state(id, "");
	id = send_to("al@trial.example");
	size_t number = 4;
	ck_assert_str_eq(job(number)->user, "al");
	ck_assert_uint_eq(ask(QUEUE_BOUNCE, id), 1);
	ck_assert_uint_eq(ask(QUEUE_BOUNCE, id), 0);
	answer(job(number), JOB_DEFERRED, 451, false); /* what is out has its outcome first */
	report(2);
	run_until_state(id, "");
}
END_TEST

START_TEST(what_was_returned_is_not_tried_again_when_its_agent_dies)
{
	uint64_t id;
	id = send_to("bob@trial.example");
	ck_assert_str_eq(job(0)->user, "bob");
	ck_assert_uint_eq(ask(QUEUE_BOUNCE, id), 1);
	agent_again(AGENT_LOCAL);
	ck_assert_ptr_nonnull(strstr(report(0)->text, "administrator"));
	run_until_state(id, "");
}
END_TEST

/* The router dies of one of two questions. */
START_TEST(what_kills_the_router_alone_is_set_aside_and_nothing_else)
{
	uint64_t poison, good;
	size_t deaths = 0, asked = 2;
	house.router_silent = true;
	poison = send_to("poison@trial.example");
	good = send_to("bob@trial.example");
	run_until_questions(2);
	while (deaths < 3) {
		channel_free(&house.router);
		house.router = link_peer("router", 0, &router_dialogue, router_side);
		run_until_questions(++asked);
		ask(QUEUE_STATUS, 0);
		ck_assert_uint_eq(house.questions, asked); /* one at a time */
		ck_assert_str_eq(house.last_question, "poison@trial.example");
		deaths++;
	}
	house.router_silent = false;
	channel_free(&house.router);
	house.router = link_peer("router", 0, &router_dialogue, router_side);
	run_until_state(poison, "corrupt");
	answer(job(0), JOB_DELIVERED, 250, false);
	run_until_state(good, "");
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("reports");
	TCase *c = tcase_create("reports");
	tcase_add_checked_fixture(c, setup, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_fails_is_told_to_its_sender);
	tcase_add_test(c, a_recipient_that_the_router_refuses_is_told);
	tcase_add_test(c, a_large_message_is_told_with_its_file);
	tcase_add_test(c, failures_are_told_together_and_what_waits_waits);
	tcase_add_test(c, a_report_that_can_not_be_made_is_asked_for_again);
	tcase_add_test(c, a_report_on_damaged_content_sets_the_message_aside);
	tcase_add_test(c, without_bounce_it_stays_in_the_queue);
	tcase_add_test(c, a_report_is_made_once_over_a_managers_death);
	tcase_add_test(c, a_notification_that_nobody_asked_for_is_refused);
	tcase_add_test(c, a_notification_by_another_than_bounce_is_a_lie);
	tcase_add_test(c, a_bounce_that_fails_goes_to_the_postmaster);
	tcase_add_test(c, a_report_to_the_postmaster_that_fails_is_dropped);
	tcase_add_test(c, who_does_not_want_to_know_is_not_told);
	tcase_add_test(c, success_is_told_to_who_asked_for_it);
	tcase_add_test(c, what_was_relayed_is_told_by_one_of_the_two);
	tcase_add_test(c, members_of_a_list_are_told_as_the_list);
	tcase_add_test(c, success_is_told_though_the_manager_has_died_meanwhile);
	tcase_add_test(c, what_kills_bounce_alone_is_set_aside_and_nothing_else);
	tcase_add_test(c, give_up_tells_how_long_it_was_tried);
	tcase_add_test(c, mail_of_the_null_sender_has_its_own_time);
	tcase_add_test(c, an_administrator_returns_mail_at_rest_held_and_active);
	tcase_add_test(c, what_was_returned_is_not_tried_again_when_its_agent_dies);
	tcase_add_test(c, what_kills_the_router_alone_is_set_aside_and_nothing_else);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
