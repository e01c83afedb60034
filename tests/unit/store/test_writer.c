/* writer: leases, group commit, its order, and what happens when a sync fails or the manager goes.
 */
#include "tests/unit/store/writer_world.h"

#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "queue/store/writer_private.h"

static unsigned count_events(enum event_kind kind)
{
	unsigned n = 0;
	for (unsigned i = 0; i < world.event_count; i++)
		n += world.events[i].kind == kind;
	return n;
}

static unsigned find_event(enum event_kind kind)
{
	for (unsigned i = 0; i < world.event_count; i++)
		if (world.events[i].kind == kind)
			return i;
	return UINT32_MAX;
}

/* S59 */
START_TEST(all_messages_of_a_turn_are_one_commit_and_answered_before_the_notice)
{
	enum { MESSAGES = 200 };
	writer_found(world.w);
	for (uint64_t i = 0; i < MESSAGES; i++)
		commit_message(i, SLICE("text"));
	ck_assert_uint_eq(writer_pending(world.w), MESSAGES);
	run_until_done(MESSAGES);
	ck_assert_uint_eq(writer_pending(world.w), 0);
	ck_assert_uint_eq(world.done_well, MESSAGES);
	ck_assert_uint_eq(world.event_count, MESSAGES + 1);
	for (unsigned i = 0; i < MESSAGES; i++) {
		ck_assert_int_eq(world.events[i].kind, DONE);
		ck_assert_uint_eq(world.events[i].number, i);
	}
	ck_assert_int_eq(world.events[MESSAGES].kind, NOTICE);
	ck_assert_uint_eq(world.events[MESSAGES].records, MESSAGES);
	struct scanned s = scan_lease(0, NULL);
	ck_assert_uint_eq(s.count, MESSAGES);
	ck_assert_uint_eq(s.result.end % 4096, 0);
}
END_TEST

/* Only a build with FAULTS=1 can count what reaches the disk. */
START_TEST(a_batch_costs_one_write_and_one_sync)
{
	if (!disk_faults_built())
		return;
	char trace[4096], fd[12];
	int file = memfd_create("trace", MFD_CLOEXEC);
	snprintf(fd, sizeof(fd), "%d", file);
	setenv("STAGEPOST_DISK_TRACE", fd, 1);
	disk_faults_role("writer");
	writer_found(world.w);
	for (uint64_t i = 0; i < 200; i++)
		commit_message(i, SLICE("text"));
	run_until_done(200);
	ssize_t n = pread(file, trace, sizeof(trace) - 1, 0);
	ck_assert_int_gt(n, 0);
	trace[n] = '\0';
	unsigned lines = 0;
	for (char *at = trace; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_eq(lines, 2);
	const char *write = strstr(trace, " write "), *sync = strstr(trace, " fdatasync ");
	ck_assert(write && sync && write < sync);
	close(file);
}
END_TEST

static void hand_in_fifty(uint64_t number)
{
	if (number < 1000)
		for (uint64_t i = 0; i < 50; i++)
			commit_message(1000 + i, SLICE("follows"));
}

START_TEST(what_comes_during_a_commit_is_the_next_one)
{
	writer_found(world.w);
	world.at_done = hand_in_fifty;
	commit_message(1, SLICE("first"));
	commit_message(2, SLICE("first"));
	run_until_done(102);
	ck_assert_uint_eq(world.notices, 2);
	ck_assert_uint_eq(world.told, 102);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 102);
}
END_TEST

START_TEST(a_spare_lease_is_always_asked_for)
{
	world.give_leases = false;
	ck_assert_uint_eq(world.leases_wanted, 0);
	writer_found(world.w);
	ck_assert_uint_eq(world.leases_wanted, 2);
	ck_assert_int_eq(writer_state(world.w), WRITER_NO_LEASE);
	ck_assert_uint_eq(writer_draw_id(world.w), 0);
	give_lease();
	ck_assert_int_eq(writer_state(world.w), WRITER_READY);
	give_lease();
	ck_assert_uint_eq(world.leases_wanted, 2);
	writer_found(world.w);
	ck_assert_uint_eq(world.leases_wanted, 2);
}
END_TEST

START_TEST(a_commit_waits_for_the_lease_that_is_coming)
{
	world.give_leases = false;
	writer_found(world.w);
	commit_message(1, SLICE("early"));
	loop_stop();
	loop_run();
	ck_assert_uint_eq(world.done, 0);
	give_lease();
	run_until_done(1);
	ck_assert_uint_eq(world.done_well, 1);
}
END_TEST

/* 50 messages of 10,000 octets in segments of 64 KiB, all from one turn. */
/* Stopped, not dead: nothing says that it is lost. */
START_TEST(a_commit_does_not_wait_for_ever_for_a_silent_manager)
{
	world.w->patience_us = 20000;
	world.give_leases = false;
	writer_found(world.w);
	commit_message(1, SLICE("early"));
	commit_message(2, SLICE("early"));
	run_until_done(2);
	ck_assert_int_eq(world.events[0].err, ETIMEDOUT);
	ck_assert_int_eq(world.events[1].err, ETIMEDOUT);
	ck_assert_uint_eq(writer_pending(world.w), 0);
	give_lease(); /* it goes on: nothing of theirs is written */
	commit_message(3, SLICE("later"));
	run_until_done(3);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 1);
}
END_TEST

START_TEST(a_batch_goes_on_in_the_next_segment_and_full_ones_are_sealed_after_their_notices)
{
	enum { MESSAGES = 50 };
	static char text[10000];
	world.segment_size = 64 * 1024 + 100; /* an odd rest is never used */
	writer_found(world.w);
	for (uint64_t i = 0; i < MESSAGES; i++)
		commit_message(i, slice_make(text, sizeof(text)));
	run_until_done(MESSAGES);
	loop_stop();
	loop_run(); /* the turn's end seals */
	ck_assert_uint_eq(world.done_well, MESSAGES);
	ck_assert_uint_eq(world.told, MESSAGES);
	ck_assert_uint_eq(count_events(SEALED), 8);
	unsigned told[WORLD_LEASES] = {0}, sealed = 0, found = 0;
	for (unsigned i = 0; i < world.event_count; i++) {
		const struct event *e = &world.events[i];
		if (e->kind == NOTICE) {
			told[e->number - 101] += e->records;
		} else if (e->kind == SEALED) {
			ck_assert_uint_eq(e->number, 101 + sealed);
			ck_assert_uint_eq(e->records, told[sealed]);
			struct scanned s = scan_lease(sealed++, NULL);
			ck_assert_uint_eq(s.count, e->records);
			ck_assert_uint_eq(s.result.end, e->end);
			found += s.count;
		}
	}
	for (unsigned i = sealed; i < world.lease_count; i++)
		found += scan_lease(i, NULL).count;
	ck_assert_uint_eq(found, MESSAGES);
}
END_TEST

START_TEST(a_message_larger_than_a_segment_is_refused)
{
	static char text[10000];
	world.segment_size = 8192;
	writer_found(world.w);
	commit_message(1, slice_make(text, sizeof(text)));
	commit_message(2, SLICE("fits"));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 1);
	for (unsigned i = 0; i < world.event_count; i++)
		if (world.events[i].kind == DONE && world.events[i].number == 1)
			ck_assert_int_eq(world.events[i].err, EFBIG);
}
END_TEST

/* A first segment that takes no write (or whose sync fails), then a good one. */
static void fail_first_commit(int fd, int err)
{
	world.next_lease_fd = fd;
	writer_found(world.w);
	for (uint64_t i = 0; i < 10; i++)
		commit_message(i, SLICE("lost"));
	run_until_done(10);
	ck_assert_uint_eq(world.done_well, 0);
	ck_assert_uint_eq(world.event_count, 11);
	const struct event *e = world.events;
	ck_assert_int_eq(e->kind, FAILED);
	ck_assert_uint_eq(e->number, 101);
	ck_assert_uint_eq(e->records, 0);
	ck_assert_uint_eq(e->end, 0);
	ck_assert_int_eq(e->err, err);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(e[i].kind, DONE);
		ck_assert_int_eq(e[i].err, err);
	}
	commit_message(10, SLICE("kept"));
	run_until_done(11);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(scan_lease(1, NULL).count, 1);
	ck_assert_uint_eq(world.leases_wanted, 3);
}

START_TEST(a_failed_write_fails_the_batch_and_the_next_segment_is_used)
{
	fail_first_commit(disk_open(AT_FDCWD, "/dev/full", O_WRONLY, 0), ENOSPC);
}
END_TEST

/* S59: 250 only after a sync that succeeded; a failed one is never tried again */
START_TEST(a_failed_sync_fails_the_batch_and_the_next_segment_is_used)
{
	/* takes every write, but can't be synced */
	fail_first_commit(disk_open(AT_FDCWD, "/dev/null", O_WRONLY, 0), EINVAL);
}
END_TEST

START_TEST(a_sync_that_fails_later_is_told_with_the_good_end)
{
	if (!disk_faults_built())
		return;
	setenv("STAGEPOST_FAULTS", "writer:fdatasync:2:EIO", 1);
	disk_faults_role("writer");
	writer_found(world.w);
	commit_message(1, SLICE("good"));
	run_until_done(1);
	commit_message(2, SLICE("bad"));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 1);
	const struct event *e = &world.events[find_event(FAILED)];
	ck_assert_uint_eq(e->records, 1);
	ck_assert_uint_eq(e->end, 4096);
	ck_assert_int_eq(e->err, EIO);
	commit_message(3, SLICE("good"));
	run_until_done(3);
	ck_assert_uint_eq(world.done_well, 2);
	ck_assert_uint_eq(scan_lease(1, NULL).count, 1);
}
END_TEST

START_TEST(a_lost_manager_fails_what_waits_and_new_leases_follow)
{
	writer_found(world.w);
	commit_message(1, SLICE("waits"));
	lose_manager();
	ck_assert_int_eq(writer_state(world.w), WRITER_NO_LEASE);
	commit_message(2, SLICE("too late"));
	run_until_done(2);
	ck_assert_int_eq(world.events[0].err, ECONNRESET);
	ck_assert_int_eq(world.events[1].err, ECONNRESET);
	ck_assert_uint_eq(world.event_count, 2);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 0);
	give_lease(); /* from the manager that is gone */
	ck_assert_int_eq(writer_state(world.w), WRITER_NO_LEASE);
	writer_found(world.w);
	ck_assert_uint_eq(world.leases_wanted, 4);
	commit_message(3, SLICE("new"));
	run_until_done(3);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(scan_lease(3, NULL).count, 1);
}
END_TEST

static void lose(void *arg)
{
	bool *lost = arg;
	if (!*lost) {
		lose_manager();
		commit_message(9, SLICE("too late"));
	}
	*lost = true;
}

/* The turn's end hands the commit over before the second turn's end loses the manager. */
START_TEST(a_commit_under_way_when_the_manager_goes_is_answered_but_not_told)
{
	struct loop_turn turn = {0};
	bool lost = false;
	writer_found(world.w);
	loop_turn_add_last(&turn, lose, &lost);
	commit_message(1, SLICE("under way"));
	run_until_done(2);
	loop_turn_remove(&turn);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(world.notices, 0);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 1); /* the scan finds it */
}
END_TEST

static void lose_at_done(uint64_t number)
{
	(void)number;
	lose_manager();
}

START_TEST(the_manager_may_go_while_answers_are_given)
{
	writer_found(world.w);
	world.at_done = lose_at_done;
	for (uint64_t i = 0; i < 5; i++)
		commit_message(i, SLICE("x"));
	run_until_done(5);
	ck_assert_uint_eq(world.done_well, 5);
	ck_assert_uint_eq(world.notices, 0);
}
END_TEST

START_TEST(freeing_waits_for_the_commit_and_answers_all)
{
	writer_found(world.w);
	commit_message(1, SLICE("under way"));
	loop_stop();
	loop_run(); /* one turn's end */
	commit_message(2, SLICE("gathered"));
	writer_free(&world.w);
	ck_assert_uint_eq(world.done, 2);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 1);
}
END_TEST

START_TEST(pressure_fails_what_would_wait_for_a_lease)
{
	world.give_leases = false;
	writer_found(world.w);
	commit_message(1, SLICE("waits"));
	writer_pressure(world.w, true);
	ck_assert_int_eq(writer_state(world.w), WRITER_FULL);
	commit_message(2, SLICE("waits"));
	run_until_done(2);
	ck_assert_int_eq(world.events[0].err, ENOSPC);
	ck_assert_int_eq(world.events[1].err, ENOSPC);
	writer_pressure(world.w, false);
	give_lease();
	commit_message(3, SLICE("fine"));
	run_until_done(3);
	ck_assert_uint_eq(world.done_well, 1);
}
END_TEST

START_TEST(ids_are_new_and_go_on_in_a_new_incarnation)
{
	const uint32_t end = UINT32_C(1) << QUEUE_ID_COUNTER_BITS;
	writer_found(world.w);
	world.give_leases = false;
	uint64_t last = 0;
	for (uint32_t i = 1; i < end; i++) {
		uint64_t id = writer_draw_id(world.w);
		if (id <= last) /* quicker than a check of each */
			ck_abort_msg("%llu after %llu", (unsigned long long)id,
				     (unsigned long long)last);
		last = id;
	}
	ck_assert_uint_eq(last, queue_id_make(3, 1, end - 1));
	ck_assert_uint_eq(world.fresh_wanted, 1);
	ck_assert_uint_eq(writer_draw_id(world.w), 0);
	ck_assert_int_eq(writer_state(world.w), WRITER_NO_LEASE);
	ck_assert_uint_eq(world.fresh_wanted, 1);
	give_lease();
	ck_assert_int_eq(writer_state(world.w), WRITER_READY);
	ck_assert_uint_eq(writer_draw_id(world.w), queue_id_make(3, 2, 1));
	world.incarnation = 1; /* one that was under way: no id is drawn twice */
	give_lease();
	ck_assert_uint_eq(writer_draw_id(world.w), queue_id_make(3, 2, 2));
}
END_TEST

START_TEST(a_record_that_is_too_large_fails_alone)
{
	static char trace[RECORD_LENGTH_MAX];
	struct stored_recipient to = {.address = SLICE("bob@trial.example")};
	struct stored_message m = {
	    .recipients = &to, .recipient_count = 1, .trace = slice_make(trace, sizeof(trace))};
	writer_found(world.w);
	struct draft *d = draft_new(world.w, writer_draw_id(world.w));
	draft_commit(&d, &m, on_done, NULL);
	commit_message(1, SLICE("fine"));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(world.told, 1);
}
END_TEST

/* Random sizes, random drafts given up, answers that hand in more, small segments. */
static char noise[CONTENT_INLINE_MAX];
static bool seen[4000];
static uint64_t given;

static void check_noise(const struct stored_message *m)
{
	uint64_t number;
	ck_assert_uint_ge(m->body.len, sizeof(number));
	memcpy(&number, m->body.ptr, sizeof(number));
	ck_assert_uint_lt(number, given);
	ck_assert(!seen[number]);
	seen[number] = true;
	ck_assert(slice_equal(slice_from(m->body, sizeof(number)),
			      slice_make(noise + number, m->body.len - sizeof(number))));
	ck_assert(slice_equal(m->header, SLICE("Subject: test\r\n")));
	ck_assert(slice_equal(m->recipients[0].address, SLICE("bob@trial.example")));
}

static void more_noise(uint64_t number)
{
	(void)number;
	for (long n = random() % 5; n > 0 && given < sizeof(seen); n--, given++) {
		size_t len = random() % 3 ? (size_t)random() % 1000 : (size_t)random() % 50000;
		if (random() % 20 == 0) {
			struct draft *d = draft_new(world.w, writer_draw_id(world.w));
			draft_body(d, slice_make(noise, len), NULL, NULL);
			draft_free(&d);
		}
		commit_message(given, slice_make(noise + given, len));
	}
	world.expected = (unsigned)given;
}

START_TEST(whatever_is_answered_well_is_found_as_it_was)
{
	srandom(3);
	arc4random_buf(noise, sizeof(noise));
	world.segment_size = 512 * 1024;
	writer_found(world.w);
	world.at_done = more_noise;
	while (given < sizeof(seen)) {
		more_noise(0);
		run_until_done((unsigned)given);
	}
	ck_assert_uint_eq(world.done_well, given);
	ck_assert_uint_eq(world.told, given);
	for (unsigned i = 0; i < world.lease_count; i++)
		scan_lease(i, check_noise);
	for (uint64_t i = 0; i < given; i++)
		ck_assert_msg(seen[i], "message %llu is not there", (unsigned long long)i);
}
END_TEST

/* By the mean of the last ones. */
START_TEST(who_commits_depends_on_how_long_it_takes)
{
	writer_found(world.w);
	world.w->here_us = CLOCK_SECOND;
	commit_message(1, SLICE("nothing is known yet"));
	run_until_done(1);
	ck_assert(!world.w->job.here);
	commit_message(2, SLICE("fast enough"));
	run_until_done(2);
	ck_assert(world.w->job.here);
	world.w->commit_us = 2 * CLOCK_SECOND;
	for (unsigned i = 3; i < 20; i++) {
		commit_message(i, SLICE("by the thread until the mean has come down"));
		run_until_done(i);
		ck_assert_int_eq(world.w->job.here, i >= 9);
	}
	ck_assert_uint_eq(world.done_well, 19);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 19);
}
END_TEST

/* Fast in the mean, and each lag would hold all sessions: the loop takes part in one of them. */
START_TEST(after_a_lag_the_thread_commits_for_a_while)
{
	writer_found(world.w);
	world.w->here_us = CLOCK_SECOND;
	world.w->commit_us = 0;
	world.w->lagged = clock_monotonic_us();
	commit_message(1, SLICE("soon after it"));
	run_until_done(1);
	ck_assert(!world.w->job.here);
	world.w->lagged = clock_monotonic_us() - COMMIT_LAG_REST_US;
	commit_message(2, SLICE("the time is over behind this one"));
	run_until_done(2);
	commit_message(3, SLICE("the loop again"));
	run_until_done(3);
	ck_assert(world.w->job.here);
}
END_TEST

static unsigned commits_of(unsigned messages, unsigned commits, unsigned done, bool *here)
{
	for (unsigned i = 0; i < commits; i++) {
		for (unsigned k = 0; k < messages; k++)
			commit_message(done++, SLICE("one of them"));
		run_until_done(done);
		here[i] = world.w->job.here;
	}
	return done;
}

/* While the loop waited for the disk, the next messages would not get complete. */
START_TEST(the_thread_commits_where_many_messages_come_together)
{
	bool few[20], many[20], alone[20];
	writer_found(world.w);
	world.w->here_us = UINT64_MAX;
	world.w->commit_us = 0;
	unsigned done = commits_of(2, 20, 0, few);
	done = commits_of(5, 20, done, many);
	done = commits_of(1, 20, done, alone);
	ck_assert(few[0] && few[19]);
	ck_assert(many[0] && !many[19]);
	ck_assert(!alone[0] && alone[19]);
	ck_assert_uint_eq(world.done_well, done);
	ck_assert_uint_eq(scan_lease(0, NULL).count, done);
}
END_TEST

static void commit_now(void *arg)
{
	(void)arg;
	commit_message(9, SLICE("a turn later"));
}

START_TEST(the_loop_looks_for_more_while_others_are_under_way)
{
	struct loop_timer later = {0};
	writer_found(world.w);
	world.w->here_us = UINT64_MAX;
	struct draft *other = draft_new(world.w, writer_draw_id(world.w));
	commit_message(1, SLICE("first"));
	loop_timer_start(&later, 0, commit_now, NULL);
	run_until_done(2);
	ck_assert_uint_eq(world.notices, 1);
	draft_free(&other);
	commit_message(2, SLICE("alone"));
	loop_timer_start(&later, 0, commit_now, NULL);
	run_until_done(4);
	ck_assert_uint_eq(world.notices, 3);
	ck_assert_uint_eq(world.done_well, 4);
}
END_TEST

/* All of it holds whoever commits. */
static void thread_begin(void)
{
	world_begin();
	world.w->here_us = 0;
}

static void loop_begin(void)
{
	world_begin();
	world.w->here_us = UINT64_MAX;
}

static TCase *writer_case(const char *name, void (*begin)(void))
{
	TCase *c = tcase_create(name);
	tcase_add_checked_fixture(c, begin, world_end);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, all_messages_of_a_turn_are_one_commit_and_answered_before_the_notice);
	tcase_add_test(c, a_batch_costs_one_write_and_one_sync);
	tcase_add_test(c, what_comes_during_a_commit_is_the_next_one);
	tcase_add_test(c, a_spare_lease_is_always_asked_for);
	tcase_add_test(c, a_commit_waits_for_the_lease_that_is_coming);
	tcase_add_test(c, a_commit_does_not_wait_for_ever_for_a_silent_manager);
	tcase_add_test(
	    c, a_batch_goes_on_in_the_next_segment_and_full_ones_are_sealed_after_their_notices);
	tcase_add_test(c, a_message_larger_than_a_segment_is_refused);
	tcase_add_test(c, a_failed_write_fails_the_batch_and_the_next_segment_is_used);
	tcase_add_test(c, a_failed_sync_fails_the_batch_and_the_next_segment_is_used);
	tcase_add_test(c, a_sync_that_fails_later_is_told_with_the_good_end);
	tcase_add_test(c, a_lost_manager_fails_what_waits_and_new_leases_follow);
	tcase_add_test(c, a_commit_under_way_when_the_manager_goes_is_answered_but_not_told);
	tcase_add_test(c, the_manager_may_go_while_answers_are_given);
	tcase_add_test(c, freeing_waits_for_the_commit_and_answers_all);
	tcase_add_test(c, pressure_fails_what_would_wait_for_a_lease);
	tcase_add_test(c, ids_are_new_and_go_on_in_a_new_incarnation);
	tcase_add_test(c, a_record_that_is_too_large_fails_alone);
	tcase_add_test(c, whatever_is_answered_well_is_found_as_it_was);
	return c;
}

int main(void)
{
	Suite *s = suite_create("writer");
	TCase *c = tcase_create("either");
	tcase_add_checked_fixture(c, world_begin, world_end);
	tcase_add_test(c, who_commits_depends_on_how_long_it_takes);
	tcase_add_test(c, after_a_lag_the_thread_commits_for_a_while);
	tcase_add_test(c, the_thread_commits_where_many_messages_come_together);
	tcase_add_test(c, the_loop_looks_for_more_while_others_are_under_way);
	suite_add_tcase(s, c);
	suite_add_tcase(s, writer_case("thread", thread_begin));
	suite_add_tcase(s, writer_case("loop", loop_begin));
	return run_suite(s);
}
