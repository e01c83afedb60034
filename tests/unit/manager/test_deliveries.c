/*
 * deliveries: what becomes of a message between the writer's notice and its end.
 */
#include "tests/unit/manager/house.h"

START_TEST(a_message_is_delivered_and_ends)
{
	uint64_t id = send_to("bob@trial.example");
	struct seen *j = job(0);
	ck_assert_uint_eq(j->message, id);
	ck_assert_uint_eq(j->attempt, 1);
	ck_assert_str_eq(j->user, "bob");
	ck_assert_str_eq(state_of(id), "active");
	answer(j, JOB_DELIVERED, 250, false);
	run_until_noted(j);
	ck_assert_str_eq(state_of(id), "");
}
END_TEST

START_TEST(a_large_message_is_a_file_for_the_agent)
{
	uint64_t id = send_mail((const char *[]){"bob@trial.example"}, 1, 150000);
	struct seen *j = job(0);
	ck_assert_uint_eq(j->content, 0);
	answer(j, JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

START_TEST(a_thousand_recipients_are_a_thousand_jobs)
{
	uint64_t id;
	house.delivers = true;
	id = send_mail(NULL, 1000, 100);
	job(999);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 1000);
}
END_TEST

START_TEST(what_was_deferred_is_tried_again)
{
	uint64_t id = send_to("bob@trial.example");
	answer(job(0), JOB_DEFERRED, 451, false);
	ck_assert_uint_eq(job(1)->attempt, 2);
	ck_assert_uint_eq(job(1)->message, id);
	answer(job(1), JOB_DELIVERED, 250, false);
	run_until_state(id, "");
}
END_TEST

START_TEST(spoiled_content_is_set_aside_as_corrupt)
{
	uint64_t id = send_to("bob@trial.example");
	answer(job(0), JOB_SPOILED, 451, false);
	run_until_state(id, "corrupt");
}
END_TEST

/* Only a writer that was taken over writes such a record. */
START_TEST(an_address_that_no_job_can_carry_is_set_aside)
{
	char address[400];
	uint64_t id;
	memset(address, 'x', sizeof(address));
	memcpy(address + sizeof(address) - 15, "@trial.example", 15);
	id = send_to(address);
	run_until_state(id, "corrupt");
	ck_assert_uint_eq(house.questions, 0);
}
END_TEST

START_TEST(a_list_becomes_its_members)
{
	uint64_t id = send_to("list300@trial.example");
	house.delivers = true;
	job(299);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 300);
}
END_TEST

/* As of a message that came with so many: they are asked about in their turn. */
START_TEST(members_of_lists_that_are_many_together_do_not_go_at_once)
{
	static const char *const to[] = {"list400a@trial.example", "list400b@trial.example",
					 "list400c@trial.example", "list400d@trial.example"};
	uint64_t id = send_mail(to, 4, 100);
	house.delivers = true;
	job(4 * 400 - 1);
	run_until_state(id, "");
	ck_assert_uint_eq(house.job_count, 4 * 400);
	ck_assert_uint_eq(house.questions, 4 + 3 * 400); /* the first list's members went */
}
END_TEST

START_TEST(members_that_can_not_be_routed_wait_alone)
{
	uint64_t id = send_to("half@trial.example");
	answer(job(0), JOB_DELIVERED, 250, false);
	run_until_state(id, "deferred");
	ck_assert_str_eq(house.statuses, "eDd");
}
END_TEST

START_TEST(an_alias_that_leads_nowhere_loses_nothing)
{
	uint64_t id = send_to("nowhere@trial.example");
	run_until_state(id, "deferred");
	ck_assert_str_eq(house.statuses, "d");
}
END_TEST

/* Three failures of the mailbox as a whole: what comes then is not tried, and comes back with it.
 */
START_TEST(a_dead_mailbox_parks_its_mail_and_returns)
{
	uint64_t first, parked;
	house_end();
	house.retry.first = house.retry.longest = UINT64_C(3600) * 1000000;
	house_begin();
	agent_start(AGENT_LOCAL);
	agent_start(AGENT_LOCAL_SUSPECTS);
	first = send_to("bob@trial.example");
	job(0);
	for (int i = 1; i < 4; i++) {
		send_to("bob@trial.example");
		job((size_t)i);
	}
	for (int i = 0; i < 3; i++) {
		answer(job((size_t)i), JOB_DEFERRED, 452, true);
		run_until_noted(job((size_t)i));
	}
	parked = send_to("bob@trial.example");
	run_until_state(parked, "deferred");
	ck_assert_uint_eq(house.job_count, 4);
	answer(job(3), JOB_DELIVERED, 250, false); /* it works again */
	job(5); /* that of its last failure, and what was not tried */
	ck_assert(house.jobs[4].message == parked || house.jobs[5].message == parked);
	ck_assert_str_eq(state_of(first), "deferred");
}
END_TEST

/* Every reply in the ledger's files has another octet. */
static void spoil_ledger(void)
{
	enum { SIZE = 16 * 1024 * 1024 };
	char *octets = malloc(SIZE), *at;
	size_t changed = 0;
	for (int i = 1; i < 8; i++) {
		char name[96];
		snprintf(name, sizeof(name), "%s/ledger/%08d", house.path, i);
		int fd = open(name, O_RDWR);
		ssize_t n = fd < 0 ? 0 : pread(fd, octets, SIZE, 0);
		for (at = octets; (at = memmem(at, (size_t)(octets + n - at), "as told", 7));) {
			*at++ = 'A';
			ck_assert_int_eq(pwrite(fd, "A", 1, at - 1 - octets), 1);
			changed++;
		}
		if (fd >= 0)
			close(fd);
	}
	free(octets);
	ck_assert_uint_gt(changed, 0);
}

/* The line says who has it already: without it nobody may get it again. */
START_TEST(a_message_whose_ledger_line_is_damaged_is_set_aside)
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
	spoil_ledger();
	ask(QUEUE_RETRY, id);
	run_until_state(id, "corrupt");
	ck_assert_uint_eq(house.job_count, 1);
}
END_TEST

/* S60: expiry is judged after a delivery attempt; that nobody knew the way just now is none. */
START_TEST(what_was_not_attempted_is_not_given_up)
{
	uint64_t id;
	house_end();
	house.retry = (struct settings_retry){
	    .first = 100000, .longest = UINT64_C(3600) * 1000000, .give_up = 1};
	house_begin();
	agent_start(AGENT_LOCAL);
	agent_start(AGENT_LOCAL_SUSPECTS);
	id = send_to("later@trial.example");
	run_until_state(id, "deferred");
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("deliveries");
	TCase *c = tcase_create("deliveries");
	tcase_add_checked_fixture(c, house_setup, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_message_is_delivered_and_ends);
	tcase_add_test(c, a_large_message_is_a_file_for_the_agent);
	tcase_add_test(c, a_thousand_recipients_are_a_thousand_jobs);
	tcase_add_test(c, what_was_deferred_is_tried_again);
	tcase_add_test(c, spoiled_content_is_set_aside_as_corrupt);
	tcase_add_test(c, an_address_that_no_job_can_carry_is_set_aside);
	tcase_add_test(c, a_list_becomes_its_members);
	tcase_add_test(c, members_of_lists_that_are_many_together_do_not_go_at_once);
	tcase_add_test(c, members_that_can_not_be_routed_wait_alone);
	tcase_add_test(c, an_alias_that_leads_nowhere_loses_nothing);
	tcase_add_test(c, a_dead_mailbox_parks_its_mail_and_returns);
	tcase_add_test(c, a_message_whose_ledger_line_is_damaged_is_set_aside);
	tcase_add_test(c, what_was_not_attempted_is_not_given_up);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
