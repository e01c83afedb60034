/*
 * writers: leases and files on their way to a writer that can't have them.
 */
#include "tests/unit/manager/house.h"

static struct channel *other; /* a second smtpd that comes and goes */

static bool is_full_told(void)
{
	return house.full;
}

/* No lease can be had: the manager says so and lives. */
START_TEST(a_full_disk_is_told_and_survived)
{
	house_prepare();
	house.limits.spool_free = UINT64_MAX / 4;
	house_begin();
	run_until(is_full_told);
	ask(QUEUE_STATUS, 0);
	ask(QUEUE_STATUS, 0);
	ck_assert_uint_gt(house.counts.pressure.len, 0);
}
END_TEST

START_TEST(a_reload_changes_the_limits)
{
	struct master_go go = {1};
	house_prepare();
	house_begin();
	run_until(is_writer_ready);
	ck_assert(!house.full);
	house.limits.spool_free = UINT64_MAX / 4;
	send_settings();
	channel_send(house.master, MASTER_GO, &go);
	run_until(is_full_told);
}
END_TEST

/* Segments go back when who asked for them has gone meanwhile. */
START_TEST(a_lease_for_a_dead_writer_comes_back)
{
	struct writer_want_lease want = {.fresh = true};
	uint64_t before;
	house_prepare();
	house_begin();
	run_until(is_writer_ready);
	ask(QUEUE_STATUS, 0);
	before = house.counts.segments;
	for (int i = 0; i < 60; i++) {
		other = link_peer("smtpd", 1, &writer_dialogue, smtpd_routes);
		ck_assert(channel_send(other, WRITER_WANT_LEASE, &want));
		ask(QUEUE_STATUS, 0);
		channel_free(&other);
		ask(QUEUE_STATUS, 0);
	}
	ck_assert_uint_le(house.counts.segments, before + 20); /* some are on their way back */
}
END_TEST

static bool is_answered(void)
{
	return house.committed + house.refused == 1;
}

/* A message that began before is told to come again: its id is not the writer's any more. The
 * writer itself is as good as before. */
START_TEST(a_message_that_began_under_a_dead_manager_breaks_nothing)
{
	house_prepare();
	house_begin();
	run_until(is_writer_ready);
	house.drawn = writer_draw_id(house.writer);
	house_end();
	house_begin();
	send_to("bob@trial.example");
	run_until(is_answered);
	ask(QUEUE_STATUS, 0);
	ask(QUEUE_STATUS, 0);
	ck_assert(channel_alive(house.smtpd));
	ck_assert_uint_eq(house.refused, 1);
}
END_TEST

int main(int argc, char **argv)
{
	int code = house_main(argc, argv);
	if (code >= 0)
		return code;
	Suite *s = suite_create("writers");
	TCase *c = tcase_create("writers");
	tcase_add_checked_fixture(c, NULL, house_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_full_disk_is_told_and_survived);
	tcase_add_test(c, a_reload_changes_the_limits);
	tcase_add_test(c, a_lease_for_a_dead_writer_comes_back);
	tcase_add_test(c, a_message_that_began_under_a_dead_manager_breaks_nothing);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? 1 : 0;
}
