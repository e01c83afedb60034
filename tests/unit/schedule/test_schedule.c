/*
 * The schedule with a clock of its own: fairness, windows, death and return, times, limits.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "queue/schedule/schedule.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)

enum { LIST_RECIPIENTS = 100000, AGENT = 0, OTHER_AGENT = 1 };

struct mail {
	struct schedule_message message;
	int number;
};

struct job {
	struct schedule_job job;
	int number;
};

static struct schedule *s;
static uint64_t now;

static const struct schedule_settings usual = {.retry_first = 5 * MINUTE,
					       .retry_longest = 60 * MINUTE,
					       .give_up = 5 * DAY,
					       .give_up_bounces = 2 * DAY};
static const struct schedule_transport windows = {.window_first = 2,
						  .window_most = 8,
						  .agent_most = 1000,
						  .dead_first = MINUTE,
						  .dead_longest = 4 * MINUTE};

static void setup(void)
{
	now = 1000 * SECOND;
	s = schedule_new(&usual, 42);
	schedule_transport(s, AGENT, &windows);
	schedule_transport(s, OTHER_AGENT, &windows);
}

static void teardown(void)
{
	schedule_free(&s);
	ck_assert_ptr_null(s);
}

static struct destination *at(const char *key)
{
	return schedule_destination(s, AGENT, slice_str(key));
}

static void add(struct job *j, const char *key, uint32_t origin, bool first)
{
	schedule_job_add(s, &j->job, at(key), origin, first, now);
}

static struct job *pick(void)
{
	struct schedule_job *j = schedule_pick(s, AGENT, now);

	return j ? container_of(j, struct job, job) : NULL;
}

static void done(struct job *j, enum schedule_outcome outcome)
{
	schedule_job_done(s, &j->job, outcome, now);
}

static struct mail *activate(void)
{
	while (schedule_due(s, now))
		;
	struct schedule_message *m = schedule_activate(s);

	return m ? container_of(m, struct mail, message) : NULL;
}

static void wait_until(struct mail *m, uint64_t due, const char *parked)
{
	schedule_wait(s, &m->message, due, now, parked ? at(parked) : NULL);
}

static void expect_counts(uint64_t waiting, uint64_t due, uint64_t active, uint64_t jobs)
{
	uint64_t w, d, a, j;

	schedule_counts(s, &w, &d, &a, &j);
	ck_assert_uint_eq(w, waiting);
	ck_assert_uint_eq(d, due);
	ck_assert_uint_eq(a, active);
	ck_assert_uint_eq(j, jobs);
}

/* Picks until job j comes, ending the others; the number of those before it. */
static int picks_before(const struct job *j)
{
	struct job *p;

	for (int n = 0;; n++) {
		p = pick();
		ck_assert_ptr_nonnull(p);
		done(p, OUTCOME_SUCCESS);
		if (p == j)
			return n;
	}
}

/* Fails a destination until it is dead. */
static void kill_destination(const char *key)
{
	static struct job jobs[SCHEDULE_FAILURES_TO_DIE];

	memset(jobs, 0, sizeof(jobs));
	for (int i = 0; i < SCHEDULE_FAILURES_TO_DIE; i++) {
		add(&jobs[i], key, 9, true);
		ck_assert_ptr_eq(pick(), &jobs[i]);
		done(&jobs[i], OUTCOME_SITE);
	}
	ck_assert_uint_gt(destination_dead_until(at(key), now), now);
}

/* Messages */

START_TEST(a_message_is_due_at_its_time_and_not_before)
{
	struct mail m = {0};

	wait_until(&m, now + MINUTE, NULL);
	ck_assert_uint_eq(schedule_wake(s), now + MINUTE);
	ck_assert_ptr_null(activate());
	now += MINUTE - 1;
	ck_assert_ptr_null(activate());
	now += 1;
	ck_assert_ptr_eq(activate(), &m);
	ck_assert_int_eq(m.message.place, PLACE_ACTIVE);
	ck_assert_uint_eq(schedule_wake(s), UINT64_MAX);
	schedule_forget(s, &m.message, now);
	expect_counts(0, 0, 0, 0);
}
END_TEST

START_TEST(messages_become_active_in_turn_between_origins)
{
	static struct mail flood[1000], single = {.number = 7};

	for (int i = 0; i < 1000; i++) {
		flood[i].message.origin = 1;
		wait_until(&flood[i], now, NULL);
	}
	single.message.origin = 2;
	wait_until(&single, now, NULL);
	ck_assert_ptr_eq(activate(), &flood[0]);
	ck_assert_ptr_eq(activate(), &single);
	ck_assert_ptr_eq(activate(), &flood[1]);
	for (int i = 2; i < 1000; i++)
		ck_assert_ptr_eq(activate(), &flood[i]);
	ck_assert_ptr_null(activate());
	expect_counts(0, 0, 1001, 0);
}
END_TEST

START_TEST(a_million_retries_that_fall_due_together_do_not_come_in_one_call)
{
	enum { MANY = 5000 };
	static struct mail many[MANY];

	for (int i = 0; i < MANY; i++) {
		many[i].message.origin = (uint32_t)i;
		wait_until(&many[i], now + SECOND, NULL);
	}
	now += MINUTE;
	ck_assert(schedule_due(s, now));
	expect_counts(MANY - SCHEDULE_DUE_STEP, SCHEDULE_DUE_STEP, 0, 0);
	for (int i = 0; i < MANY; i++)
		ck_assert_ptr_nonnull(activate());
	ck_assert_ptr_null(activate());
	expect_counts(0, 0, MANY, 0);
}
END_TEST

START_TEST(active_messages_and_jobs_have_limits)
{
	struct schedule_settings few = usual;
	struct mail mails[4] = {0};
	struct job jobs[2] = {0};

	few.active_messages = 2;
	few.active_jobs = 2;
	schedule_set(s, &few);
	for (uint32_t i = 0; i < 4; i++) {
		mails[i].message.origin = i;
		wait_until(&mails[i], now, NULL);
	}
	ck_assert_uint_eq(schedule_wake(s), 0);
	ck_assert_ptr_eq(activate(), &mails[0]);
	ck_assert(!schedule_is_full(s));
	ck_assert_ptr_eq(activate(), &mails[1]);
	ck_assert(schedule_is_full(s));
	ck_assert_ptr_null(activate());
	ck_assert_uint_eq(schedule_wake(s), UINT64_MAX);
	schedule_forget(s, &mails[0].message, now);
	ck_assert_ptr_eq(activate(), &mails[2]);
	schedule_forget(s, &mails[1].message, now);
	add(&jobs[0], "a", 1, true);
	add(&jobs[1], "a", 1, false);
	ck_assert(schedule_is_full(s)); /* of jobs */
	ck_assert_ptr_null(activate());
	schedule_job_remove(s, &jobs[1].job, now);
	ck_assert_ptr_eq(activate(), &mails[3]);
	schedule_job_remove(s, &jobs[0].job, now);
	expect_counts(0, 0, 2, 0);
}
END_TEST

/* One origin has half of what may be active, two have a third each. */
static const struct {
	const char *name;
	struct schedule_settings few;
	uint16_t recipients;
	int alone, both;
} shares[] = {
    {"messages", {.active_messages = 120}, 1, 60, 20},
    {"recipients", {.active_recipients = 1200}, 10, 60, 20},
};

START_TEST(a_list_leaves_room_for_others)
{
	enum { MANY = 200 };
	static struct mail lists[2][MANY];
	struct mail single = {.message = {.origin = 3, .recipients = 1}};

	memset(lists, 0, sizeof(lists));
	schedule_set(s, &shares[_i].few);
	for (uint32_t n = 0; n < 2; n++) {
		for (int i = 0; i < MANY; i++) {
			lists[n][i].message.origin = n + 1;
			lists[n][i].message.recipients = shares[_i].recipients;
			wait_until(&lists[n][i], now, NULL);
		}
		for (int i = 0; i < (n == 0 ? shares[_i].alone : shares[_i].both); i++)
			ck_assert_ptr_eq(activate(), &lists[n][i]);
		if (n == 0) {
			ck_assert_ptr_null(activate());
			ck_assert_uint_eq(schedule_wake(s), UINT64_MAX);
		}
	}
	wait_until(&single, now, NULL);
	ck_assert_uint_eq(schedule_wake(s), 0);
	while (single.message.place != PLACE_ACTIVE)
		ck_assert_ptr_nonnull(activate());
	/* what ends makes room again */
	while (activate())
		;
	for (int i = 0; i < 4; i++)
		schedule_forget(s, &lists[0][i].message, now);
	ck_assert_uint_eq(schedule_wake(s), 0);
	ck_assert_ptr_nonnull(activate());
}
END_TEST

START_TEST(a_waiting_message_can_be_hurried_or_forgotten)
{
	struct mail a = {0}, b = {0}, c = {0};

	wait_until(&a, now + DAY, "box");
	wait_until(&b, now + DAY, "box");
	wait_until(&c, now, NULL);
	ck_assert(schedule_hurry(s, &a.message, now));
	ck_assert(!schedule_hurry(s, &a.message, now));
	schedule_forget(s, &c.message, now);
	schedule_forget(s, &b.message, now);
	schedule_forget(s, &b.message, now);
	ck_assert_ptr_eq(activate(), &a);
	ck_assert_ptr_null(activate());
	ck_assert_int_eq(b.message.place, PLACE_NONE);
	expect_counts(0, 0, 1, 0);
}
END_TEST

/* Jobs */

START_TEST(a_list_of_100000_delays_neither_another_nor_its_own_sender)
{
	struct job *list = memory_zero(LIST_RECIPIENTS, sizeof(*list));
	struct job other = {0}, own = {0}, second = {0};
	char key[32];

	for (int i = 0; i < LIST_RECIPIENTS; i++) {
		snprintf(key, sizeof(key), "box%d", i);
		add(&list[i], key, 1, i == 0);
	}
	for (int i = 0; i < 500; i++)
		done(pick(), OUTCOME_SUCCESS);
	add(&other, "elsewhere", 2, true);
	add(&own, "own", 1, true);
	add(&second, "second", 3, true);
	ck_assert_int_le(picks_before(&other), 3);
	ck_assert_int_le(picks_before(&own), 3);
	ck_assert_int_le(picks_before(&second), 3);
	for (int i = 503; i < LIST_RECIPIENTS + 3; i++) {
		struct job *j = pick();

		if (j == NULL)
			break;
		done(j, OUTCOME_SUCCESS);
	}
	expect_counts(0, 0, 0, 0);
	memory_free(list);
}
END_TEST

START_TEST(origins_share_a_destination_evenly)
{
	static struct job jobs[3][100];
	int count[3] = {0};

	for (uint32_t o = 0; o < 3; o++)
		for (int i = 0; i < 100; i++) {
			jobs[o][i].number = (int)o;
			add(&jobs[o][i], "box", o, true);
		}
	for (int i = 0; i < 150; i++) {
		struct job *j = pick();

		count[j->number]++;
		done(j, OUTCOME_SUCCESS);
	}
	for (int o = 0; o < 3; o++)
		ck_assert_int_eq(count[o], 50);
	while (1) {
		struct job *j = pick();

		if (j == NULL)
			break;
		done(j, OUTCOME_SUCCESS);
	}
	expect_counts(0, 0, 0, 0);
}
END_TEST

START_TEST(a_window_that_opens_late_gives_newcomers_no_lead)
{
	static struct job slow[3], busy[200], fresh[200];
	struct job *out[2];

	/* origin 1's destination has two jobs out and one that waits with an old tag */
	for (int i = 0; i < 3; i++)
		add(&slow[i], "slow", 1, true);
	out[0] = pick();
	out[1] = pick();
	for (int i = 0; i < 200; i++)
		add(&busy[i], "busy", 2, true);
	for (int i = 0; i < 100; i++)
		done(pick(), OUTCOME_SUCCESS);
	done(out[0], OUTCOME_SUCCESS);
	ck_assert_ptr_eq(pick(), &slow[2]);
	/* a newcomer now takes turns with origin 2, it does not go before all of it */
	for (int i = 0; i < 200; i++)
		add(&fresh[i], "fresh", 3, true);
	ck_assert_int_ge(picks_before(&fresh[50]), 99);
	done(out[1], OUTCOME_NONE);
	done(&slow[2], OUTCOME_NONE);
	for (int i = 0; i < 200; i++) {
		if (busy[i].job.destination != NULL)
			schedule_job_remove(s, &busy[i].job, now);
		if (fresh[i].job.destination != NULL)
			schedule_job_remove(s, &fresh[i].job, now);
	}
	expect_counts(0, 0, 0, 0);
}
END_TEST

START_TEST(a_list_in_one_transport_does_not_delay_its_sender_in_another)
{
	static struct job list[1000], other[10];
	struct job mail = {0};

	for (int i = 0; i < 1000; i++)
		add(&list[i], "list", 1, false);
	for (int i = 0; i < 10; i++)
		schedule_job_add(s, &other[i].job,
				 schedule_destination(s, OTHER_AGENT, SLICE("site")), 2, false,
				 now);
	schedule_job_add(s, &mail.job, schedule_destination(s, OTHER_AGENT, SLICE("far")), 1, false,
			 now);
	for (int i = 0; i < 2; i++) {
		struct schedule_job *j = schedule_pick(s, OTHER_AGENT, now);

		schedule_job_done(s, j, OUTCOME_SUCCESS, now);
	}
	ck_assert_ptr_null(mail.job.destination); /* it was among the first two */
	for (int i = 0; i < 10; i++)
		if (other[i].job.destination != NULL)
			schedule_job_remove(s, &other[i].job, now);
	for (int i = 0; i < 1000; i++)
		schedule_job_remove(s, &list[i].job, now);
	expect_counts(0, 0, 0, 0);
}
END_TEST

START_TEST(no_more_jobs_are_out_than_the_agent_takes)
{
	struct job jobs[5] = {0};
	char key[16];

	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%d", i);
		add(&jobs[i], key, 1, true);
	}
	schedule_agent(s, AGENT, 0);
	ck_assert_ptr_null(pick());
	schedule_agent(s, AGENT, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(pick());
	ck_assert_ptr_null(pick());
	done(&jobs[0], OUTCOME_NONE);
	ck_assert_ptr_eq(pick(), &jobs[3]);
	done(&jobs[1], OUTCOME_NONE);
	done(&jobs[2], OUTCOME_NONE);
	done(&jobs[3], OUTCOME_NONE);
	schedule_job_remove(s, &jobs[4].job, now);
	expect_counts(0, 0, 0, 0);
}
END_TEST

/* Windows */

static int window_of(const char *key)
{
	static struct job probe[64];
	int count = 0;

	memset(probe, 0, sizeof(probe));
	for (int i = 0; i < 64; i++)
		add(&probe[i], key, 1, true);
	while (pick() != NULL)
		count++;
	for (int i = 0; i < 64; i++) {
		if (probe[i].job.out)
			done(&probe[i], OUTCOME_NONE);
		if (probe[i].job.destination != NULL)
			schedule_job_remove(s, &probe[i].job, now);
	}
	return count;
}

/* One parked message keeps the destination, so that what it learned can be looked at. */
static struct mail keeper;

static void keep(const char *key)
{
	memset(&keeper, 0, sizeof(keeper));
	wait_until(&keeper, now + DAY, key);
}

static void one(const char *key, enum schedule_outcome outcome)
{
	struct job j = {0};

	add(&j, key, 1, true);
	ck_assert_ptr_eq(pick(), &j);
	done(&j, outcome);
}

START_TEST(a_window_opens_on_success_up_to_its_most)
{
	struct job hold = {0};

	add(&hold, "box", 1, true);
	ck_assert_ptr_eq(pick(), &hold);
	one("box", OUTCOME_SUCCESS);
	one("box", OUTCOME_MESSAGE); /* a refused message says that the destination works */
	done(&hold, OUTCOME_NONE);
	add(&hold, "box", 1, true);
	ck_assert_ptr_eq(pick(), &hold); /* a fresh destination: it was not kept */
	for (int i = 0; i < 100; i++)
		one("box", OUTCOME_SUCCESS);
	ck_assert_int_eq(window_of("box"), (int)windows.window_most - 1);
	done(&hold, OUTCOME_NONE);
}
END_TEST

START_TEST(a_window_closes_by_half_on_failure)
{
	struct job hold = {0};

	add(&hold, "box", 1, true);
	ck_assert_ptr_eq(pick(), &hold);
	for (int i = 0; i < 100; i++)
		one("box", OUTCOME_SUCCESS);
	one("box", OUTCOME_SITE);
	ck_assert_int_eq(window_of("box"), 4 - 1);
	one("box", OUTCOME_SITE);
	ck_assert_int_eq(window_of("box"), 2 - 1);
	one("box", OUTCOME_SUCCESS);
	one("box", OUTCOME_SUCCESS);
	ck_assert_int_eq(window_of("box"), 3 - 1);
	done(&hold, OUTCOME_NONE);
}
END_TEST

/* Death and return */

/* An agent of strangers' servers that takes 20 jobs, windows of 5. */
static void be_wary(void)
{
	struct schedule_transport t = windows;

	t.wary = true;
	t.agent_most = 20;
	t.window_first = t.window_most = 5;
	schedule_transport(s, AGENT, &t);
}

/* So many destinations that take jobs and never answer; how many they have got. */
static int hang(struct job *jobs, int count, const char *name)
{
	char key[20];
	int got = 0;

	for (int i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "%s %d", name, i / 5);
		add(&jobs[i], key, 9, true);
	}
	while (pick() != NULL)
		got++;
	return got;
}

START_TEST(destinations_that_hang_do_not_hold_all_of_the_agent)
{
	static struct job bad[50], good[40];
	int got = 0;

	memset(bad, 0, sizeof(bad));
	memset(good, 0, sizeof(good));
	be_wary();
	ck_assert_int_eq(hang(bad, 25, "bad"), 13); /* one more than half, and one each of two */
	for (int i = 0; i < 40; i++)
		add(&good[i], "good", 1, true);
	for (struct job *j; (j = pick()) != NULL;) {
		ck_assert(j >= good && j < good + 40);
		done(j, OUTCOME_SUCCESS);
		got++;
	}
	ck_assert_int_eq(got, 40);
}
END_TEST

START_TEST(one_that_works_has_its_window_in_the_crowd_until_it_is_quiet)
{
	static struct job bad[25], good[40];
	struct job *first;

	memset(bad, 0, sizeof(bad));
	memset(good, 0, sizeof(good));
	be_wary();
	(void)hang(bad, 25, "bad");
	for (int i = 0; i < 40; i++)
		add(&good[i], "good", 1, true);
	first = pick();
	ck_assert_ptr_eq(first, &good[0]);
	ck_assert_ptr_null(pick()); /* it has not worked yet */
	done(first, OUTCOME_SUCCESS);
	for (int i = 1; i < 4; i++)
		ck_assert_ptr_eq(pick(), &good[i]);
	now += SCHEDULE_QUIET_US;
	ck_assert_ptr_null(pick());
	done(&good[1], OUTCOME_SUCCESS);
	ck_assert_ptr_eq(pick(), &good[4]);
}
END_TEST

START_TEST(when_the_crowd_is_over_all_windows_are_open_again)
{
	static struct job bad[25];

	memset(bad, 0, sizeof(bad));
	be_wary();
	(void)hang(bad, 25, "bad");
	for (int i = 0; i < 25; i++)
		if (bad[i].job.out && i < 5)
			done(&bad[i], OUTCOME_MESSAGE);
	ck_assert_ptr_nonnull(pick());
	ck_assert_ptr_nonnull(pick());
	ck_assert_ptr_nonnull(pick());
}
END_TEST

START_TEST(a_destination_dies_of_failures_in_a_row_alone)
{
	struct job j = {0};

	keep("box");
	for (int i = 0; i < 10; i++) {
		one("box", OUTCOME_SITE);
		one("box", OUTCOME_SITE);
		ck_assert_uint_eq(destination_dead_until(at("box"), now), 0);
		one("box", OUTCOME_SUCCESS);
		if (keeper.message.place == PLACE_DUE)
			ck_assert_ptr_eq(activate(), &keeper);
		keep("box");
	}
	kill_destination("box");
	add(&j, "box", 1, true);
	ck_assert_ptr_null(pick());
	ck_assert_ptr_eq(schedule_pick_dead(s, AGENT, now), &j.job);
	ck_assert_ptr_null(schedule_pick_dead(s, AGENT, now));
	ck_assert_ptr_null(j.job.destination);
}
END_TEST

START_TEST(failures_one_by_one_are_in_a_row_until_they_are_long_ago)
{
	one("box", OUTCOME_SITE);
	now += 4 * MINUTE - 1;
	one("box", OUTCOME_SITE);
	now += 4 * MINUTE;
	one("box", OUTCOME_SITE); /* the former two are forgotten */
	one("box", OUTCOME_SITE);
	ck_assert_uint_eq(destination_dead_until(at("box"), now), 0);
	one("box", OUTCOME_SITE);
	ck_assert_uint_gt(destination_dead_until(at("box"), now), now);
}
END_TEST

START_TEST(an_urged_job_goes_to_a_dead_destination_alone)
{
	struct job a = {0}, b = {0};

	kill_destination("box");
	add(&a, "box", 1, true);
	add(&b, "box", 1, true);
	ck_assert_ptr_null(pick());
	schedule_job_urge(&b.job, now);
	ck_assert_ptr_eq(pick(), &a);
	ck_assert_ptr_null(pick());
	ck_assert_ptr_null(schedule_pick_dead(s, AGENT, now));
	done(&a, OUTCOME_SITE);
	ck_assert_uint_gt(destination_dead_until(at("box"), now), now);
	ck_assert_ptr_eq(schedule_pick_dead(s, AGENT, now), &b.job);
}
END_TEST

START_TEST(a_dead_destination_is_tried_again_by_one_job_and_stays_dead_longer)
{
	struct job jobs[3] = {0};
	uint64_t until;

	kill_destination("box");
	until = destination_dead_until(at("box"), now);
	ck_assert_uint_eq(until, now + MINUTE);
	keep("box");
	for (uint64_t dead = 2; dead <= 8; dead *= 2) {
		now = until;
		for (int i = 0; i < 3; i++)
			add(&jobs[i], "box", 1, true);
		ck_assert_ptr_eq(pick(), &jobs[0]);
		ck_assert_ptr_null(pick()); /* one alone */
		done(&jobs[0], OUTCOME_SITE);
		until = destination_dead_until(at("box"), now);
		ck_assert_uint_eq(until, now + (dead < 4 ? dead : 4) * MINUTE);
		ck_assert_ptr_nonnull(schedule_pick_dead(s, AGENT, now));
		ck_assert_ptr_nonnull(schedule_pick_dead(s, AGENT, now));
	}
	expect_counts(1, 0, 0, 0);
}
END_TEST

START_TEST(late_failures_of_jobs_that_were_out_do_not_lengthen_death)
{
	struct schedule_transport wide = windows;
	struct job jobs[8] = {0};
	uint64_t until;

	wide.window_first = 8;
	schedule_transport(s, AGENT, &wide);
	for (int i = 0; i < 8; i++)
		add(&jobs[i], "box", 1, true);
	for (int i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(pick());
	for (int i = 0; i < 3; i++)
		done(&jobs[i], OUTCOME_SITE);
	until = destination_dead_until(at("box"), now);
	ck_assert_uint_eq(until, now + MINUTE);
	now += SECOND;
	for (int i = 3; i < 8; i++)
		done(&jobs[i], OUTCOME_SITE);
	ck_assert_uint_eq(destination_dead_until(at("box"), now), until);
}
END_TEST

START_TEST(a_destination_that_returns_makes_what_is_parked_due)
{
	static struct mail parked[100], elsewhere;

	kill_destination("box");
	for (int i = 0; i < 100; i++)
		wait_until(&parked[i], now + DAY, "box");
	wait_until(&elsewhere, now + DAY, "other");
	now += MINUTE;
	ck_assert_ptr_null(activate());
	one("box", OUTCOME_SUCCESS);
	ck_assert_uint_eq(schedule_wake(s), 0);
	ck_assert(!schedule_due(s, now));
	expect_counts(1, 100, 0, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_eq(activate(), &parked[i]);
	ck_assert_ptr_null(activate());
	ck_assert_uint_eq(destination_dead_until(at("box"), now), 0);
}
END_TEST

START_TEST(what_is_parked_at_one_destination_does_not_become_due_in_one_call)
{
	enum { MANY = 2500 };
	static struct mail parked[MANY];

	kill_destination("box");
	for (int i = 0; i < MANY; i++)
		wait_until(&parked[i], now + DAY, "box");
	now += MINUTE;
	one("box", OUTCOME_SUCCESS);
	ck_assert(schedule_due(s, now));
	expect_counts(MANY - SCHEDULE_DUE_STEP, SCHEDULE_DUE_STEP, 0, 0);
	/* What leaves meanwhile takes the destination's last reference with it. */
	for (int i = SCHEDULE_DUE_STEP; i < MANY; i++)
		schedule_forget(s, &parked[i].message, now);
	ck_assert(!schedule_due(s, now));
	expect_counts(0, SCHEDULE_DUE_STEP, 0, 0);
}
END_TEST

START_TEST(a_job_late_from_before_death_revives_at_once)
{
	struct schedule_transport wide = windows;
	struct job late = {0}, waiting = {0};

	wide.window_first = 8;
	schedule_transport(s, AGENT, &wide);
	add(&late, "box", 1, true);
	ck_assert_ptr_eq(pick(), &late);
	kill_destination("box");
	add(&waiting, "box", 1, true);
	ck_assert_ptr_null(pick());
	done(&late, OUTCOME_SUCCESS);
	ck_assert_ptr_eq(pick(), &waiting);
	done(&waiting, OUTCOME_SUCCESS);
	expect_counts(0, 0, 0, 0);
}
END_TEST

START_TEST(a_message_that_is_due_at_once_is_not_parked)
{
	struct mail m = {0};

	wait_until(&m, now, "unused");
	ck_assert_ptr_eq(activate(), &m);
	schedule_forget(s, &m.message, now);
}
END_TEST

/* Times */

START_TEST(waits_double_with_age_and_jitter_only_lengthens)
{
	static const struct {
		uint64_t age, wait;
	} cases[] = {
	    {0, 5 * MINUTE},
	    {4 * MINUTE, 5 * MINUTE},
	    {10 * MINUTE, 10 * MINUTE},
	    {20 * MINUTE, 20 * MINUTE},
	    {DAY, 60 * MINUTE},
	    {30 * DAY, 60 * MINUTE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t start = 100 * DAY, least = UINT64_MAX, most = 0;

		for (int n = 0; n < 2000; n++) {
			uint64_t wait = schedule_retry_at(s, start, start + cases[i].age) - start -
					cases[i].age;

			least = wait < least ? wait : least;
			most = wait > most ? wait : most;
		}
		ck_assert_uint_ge(least, cases[i].wait);
		ck_assert_uint_le(most, cases[i].wait + cases[i].wait / 4);
		/* and it spreads over that quarter */
		ck_assert_uint_lt(least, cases[i].wait + cases[i].wait / 40);
		ck_assert_uint_gt(most, cases[i].wait + cases[i].wait * 9 / 40);
	}
}
END_TEST

START_TEST(a_clock_before_the_arrival_waits_the_first_time)
{
	uint64_t at_time = schedule_retry_at(s, 10 * DAY, 9 * DAY);

	ck_assert_uint_ge(at_time, 9 * DAY + 5 * MINUTE);
	ck_assert_uint_le(at_time, 9 * DAY + 7 * MINUTE);
	ck_assert(!schedule_give_up(s, 10 * DAY, false, 9 * DAY));
}
END_TEST

START_TEST(the_attempt_after_give_up_is_the_last)
{
	ck_assert(!schedule_give_up(s, DAY, false, DAY));
	ck_assert(!schedule_give_up(s, DAY, false, 6 * DAY - 1));
	ck_assert(schedule_give_up(s, DAY, false, 6 * DAY));
	ck_assert(schedule_give_up(s, DAY, false, 60 * DAY));
}
END_TEST

START_TEST(mail_of_the_null_sender_is_given_up_by_a_time_of_its_own)
{
	ck_assert(!schedule_give_up(s, DAY, true, 3 * DAY - 1));
	ck_assert(schedule_give_up(s, DAY, true, 3 * DAY));
}
END_TEST

/* A walk stops at each destination; meanwhile they come and go. */
START_TEST(destinations_can_be_walked_while_they_come_and_go)
{
	static struct mail parked[3];
	struct schedule_walk w = {0};
	struct destination_view v;
	struct job queued = {0};

	kill_destination("dead");
	destination_said(at("dead"), SLICE("421 4.3.2 no"));
	wait_until(&parked[0], now + DAY, "dead");
	wait_until(&parked[1], now + DAY, "dead");
	wait_until(&parked[2], now + DAY, "gone");
	add(&queued, "busy", 1, true);
	ck_assert(schedule_walk_next(s, &w, now, &v));
	ck_assert(slice_equal(v.key, SLICE("dead")));
	ck_assert(slice_equal(v.reply, SLICE("421 4.3.2 no")));
	ck_assert_uint_eq(v.parked, 2);
	ck_assert_uint_eq(v.window, 1);
	ck_assert_uint_eq(v.dead_until, now + MINUTE);
	schedule_forget(s, &parked[2].message, now); /* where the walk stands */
	ck_assert(schedule_walk_next(s, &w, now, &v));
	ck_assert(slice_equal(v.key, SLICE("busy")));
	ck_assert_uint_eq(v.queued, 1);
	ck_assert(!schedule_walk_next(s, &w, now, &v));
	ck_assert(schedule_walk_next(s, &w, now, &v));
	schedule_walk_end(&w);
	schedule_job_remove(s, &queued.job, now);
	now += MINUTE;
	one("dead", OUTCOME_SUCCESS);
	ck_assert(schedule_walk_next(s, &w, now, &v));
	ck_assert_uint_eq(v.reply.len, 0); /* it works */
	schedule_walk_end(&w);
}
END_TEST

START_TEST(a_day_of_one_dead_mailbox_is_few_attempts)
{
	uint64_t start = now, next = now;
	int attempts = 0;

	while (next < start + 5 * DAY) {
		attempts++;
		next = schedule_retry_at(s, start, next);
	}
	ck_assert_int_ge(attempts, 5 * 24 * 4 / 5);
	ck_assert_int_le(attempts, 5 * 24 + 10);
}
END_TEST

START_TEST(it_can_be_freed_with_everything_in_it)
{
	static struct mail m, parked;
	static struct job queued, out, doomed;

	memset(&m, 0, sizeof(m));
	kill_destination("c");
	add(&out, "a", 1, true);
	ck_assert_ptr_eq(pick(), &out);
	add(&queued, "b", 1, true);
	add(&doomed, "c", 1, true);
	wait_until(&m, now, NULL);
	wait_until(&parked, now + DAY, "d");
}
END_TEST

/* Any order of calls, compared with counts that are kept aside. */
START_TEST(random_work_keeps_the_counts_right)
{
	enum { JOBS = 300, ROUNDS = 200000 };
	static struct job jobs[JOBS];
	static bool in[JOBS];
	uint64_t waiting, due, active, count, mine = 0;
	char key[16];

	srand(1);
	for (int r = 0; r < ROUNDS; r++) {
		int i = rand() % JOBS;
		struct job *j;

		now += (uint64_t)(rand() % 2000) * 1000;
		switch (rand() % 5) {
		case 0:
		case 1:
			if (in[i])
				break;
			snprintf(key, sizeof(key), "d%d", rand() % 20);
			add(&jobs[i], key, (uint32_t)(rand() % 7), rand() % 2);
			in[i] = true;
			mine++;
			break;
		case 2:
			pick();
			break;
		case 3:
			if (!in[i])
				break;
			if (jobs[i].job.out)
				done(&jobs[i], (enum schedule_outcome)(rand() % 4));
			else
				schedule_job_remove(s, &jobs[i].job, now);
			in[i] = false;
			mine--;
			break;
		case 4:
			if (rand() % 4)
				break;
			j = NULL;
			{
				struct schedule_job *dead = schedule_pick_dead(s, AGENT, now);

				if (dead != NULL)
					j = container_of(dead, struct job, job);
			}
			if (j != NULL) {
				in[j - jobs] = false;
				mine--;
			}
			break;
		}
		schedule_counts(s, &waiting, &due, &active, &count);
		ck_assert_uint_eq(count, mine);
	}
	for (int i = 0; i < JOBS; i++) {
		if (in[i] && jobs[i].job.out)
			done(&jobs[i], OUTCOME_NONE);
		else if (in[i])
			schedule_job_remove(s, &jobs[i].job, now);
	}
	expect_counts(0, 0, 0, 0);
	now += DAY;
	ck_assert_ptr_null(pick());
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
	    a_message_is_due_at_its_time_and_not_before,
	    messages_become_active_in_turn_between_origins,
	    a_million_retries_that_fall_due_together_do_not_come_in_one_call,
	    active_messages_and_jobs_have_limits,
	    a_waiting_message_can_be_hurried_or_forgotten,
	    a_list_of_100000_delays_neither_another_nor_its_own_sender,
	    origins_share_a_destination_evenly,
	    a_window_that_opens_late_gives_newcomers_no_lead,
	    a_list_in_one_transport_does_not_delay_its_sender_in_another,
	    no_more_jobs_are_out_than_the_agent_takes,
	    a_window_opens_on_success_up_to_its_most,
	    a_window_closes_by_half_on_failure,
	    destinations_that_hang_do_not_hold_all_of_the_agent,
	    one_that_works_has_its_window_in_the_crowd_until_it_is_quiet,
	    when_the_crowd_is_over_all_windows_are_open_again,
	    a_destination_dies_of_failures_in_a_row_alone,
	    failures_one_by_one_are_in_a_row_until_they_are_long_ago,
	    an_urged_job_goes_to_a_dead_destination_alone,
	    a_dead_destination_is_tried_again_by_one_job_and_stays_dead_longer,
	    late_failures_of_jobs_that_were_out_do_not_lengthen_death,
	    a_destination_that_returns_makes_what_is_parked_due,
	    what_is_parked_at_one_destination_does_not_become_due_in_one_call,
	    a_job_late_from_before_death_revives_at_once,
	    a_message_that_is_due_at_once_is_not_parked,
	    waits_double_with_age_and_jitter_only_lengthens,
	    a_clock_before_the_arrival_waits_the_first_time,
	    the_attempt_after_give_up_is_the_last,
	    mail_of_the_null_sender_is_given_up_by_a_time_of_its_own,
	    destinations_can_be_walked_while_they_come_and_go,
	    a_day_of_one_dead_mailbox_is_few_attempts,
	    it_can_be_freed_with_everything_in_it,
	    random_work_keeps_the_counts_right,
	};
	Suite *suite = suite_create("schedule");
	TCase *t = tcase_create("schedule");
	SRunner *sr = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	tcase_add_loop_test(t, a_list_leaves_room_for_others, 0,
			    sizeof(shares) / sizeof(shares[0]));
	suite_add_tcase(suite, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
