/*
 * Windows, known recipients and limits of users, with the clock passed in; no disk.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/memory.h"
#include "daemons/usage/usage.h"

enum { HOUR = 3600, DAY = 86400 };
static const uint64_t NOON = UINT64_C(20000) * DAY + 12 * HOUR;
static struct verdict v;

static void limit(uint32_t messages_hour, uint32_t messages_day, uint32_t recipients_hour,
		  uint32_t recipients_day, uint32_t fresh)
{
	struct settings_submission s = {.messages_hour = messages_hour,
					.messages_day = messages_day,
					.recipients_hour = recipients_hour,
					.recipients_day = recipients_day,
					.new_recipients_day = fresh};
	book_limits(&s);
}

static void setup(void)
{
	limit(0, 0, 0, 0, 0);
}

static void teardown(void)
{
	book_free();
}

/* Any recipient's hash. */
static uint64_t hash(uint64_t number)
{
	return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* To recipients first, first + 1, ...; true: it goes out. */
static bool sends_as(const char *user, uint64_t first, uint32_t count, uint64_t now)
{
	uint64_t *hashes = memory_get((count + 1) * sizeof(*hashes));
	for (uint32_t i = 0; i < count; i++)
		hashes[i] = hash(first + i);
	book_send(slice_str(user), count, hashes, count, now, &v);
	memory_free(hashes);
	ck_assert(v.hold == (v.text[0] != '\0'));
	return !v.hold;
}

static bool sends(uint64_t first, uint32_t count, uint64_t now)
{
	return sends_as("alice@trial.example", first, count, now);
}

START_TEST(without_limits_everything_goes_out)
{
	for (uint32_t i = 0; i < 1000; i++)
		ck_assert(sends(i * 10, 10, NOON));
}
END_TEST

START_TEST(messages_of_an_hour_are_limited_and_an_hour_later_there_is_room)
{
	limit(3, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		ck_assert(sends(1, 1, NOON + (uint64_t)i * 60));
	ck_assert(!sends(1, 1, NOON + 600));
	ck_assert_str_eq(v.text, "over the limit of 3 messages in an hour");
	ck_assert(sends_as("bob@trial.example", 1, 1, NOON + 600));
	ck_assert(!sends(1, 1, NOON + HOUR - 1));
	ck_assert(sends(1, 1, NOON + HOUR + SLOT_SECONDS));
}
END_TEST

/* Never more than the limit in any hour, however the messages fall. */
START_TEST(the_hour_slides)
{
	uint64_t sent[2000];
	size_t count = 0;
	limit(20, 0, 0, 0, 0);
	srandom(5);
	for (uint64_t now = NOON; count < 400; now += (uint64_t)random() % 120)
		if (sends(1, 1, now))
			sent[count++] = now;
	for (size_t i = 20; i < count; i++)
		ck_assert_uint_gt(sent[i] - sent[i - 20], HOUR - 1);
}
END_TEST

START_TEST(each_limit_is_named)
{
	static const struct {
		uint32_t limits[5];
		const char *text;
	} cases[] = {
	    {{2, 0, 0, 0, 0}, "over the limit of 2 messages in an hour"},
	    {{0, 2, 0, 0, 0}, "over the limit of 2 messages in a day"},
	    {{0, 0, 20, 0, 0}, "over the limit of 20 recipients in an hour"},
	    {{0, 0, 0, 20, 0}, "over the limit of 20 recipients in a day"},
	    {{0, 0, 0, 0, 20},
	     "over the limit of 20 recipients in a day to whom the user has never written before"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t *l = cases[i].limits;
		limit(l[0], l[1], l[2], l[3], l[4]);
		ck_assert(sends(0, 10, NOON));
		ck_assert(sends(100, 10, NOON));
		ck_assert(!sends(200, 10, NOON));
		ck_assert_str_eq(v.text, cases[i].text);
		book_free();
	}
}
END_TEST

START_TEST(a_days_limit_holds_for_a_day)
{
	limit(0, 2, 0, 0, 0);
	ck_assert(sends(1, 1, NOON));
	ck_assert(sends(1, 1, NOON + 8 * HOUR));
	ck_assert(!sends(1, 1, NOON + 23 * HOUR));
	ck_assert(sends(1, 1, NOON + DAY + SLOT_SECONDS));
	ck_assert(!sends(1, 1, NOON + DAY + SLOT_SECONDS));
}
END_TEST

/* What is held has not gone out: neither it nor its recipients count. */
START_TEST(a_held_message_does_not_count)
{
	limit(0, 0, 0, 10, 5);
	ck_assert(!sends(0, 11, NOON));
	ck_assert(!sends(0, 6, NOON));
	ck_assert(sends(0, 5, NOON));
	ck_assert(!sends(100, 1, NOON));
	ck_assert(sends(0, 5, NOON));
}
END_TEST

/* A thief does not fill the disk with what is held. */
START_TEST(of_one_user_so_many_are_held_in_a_day_and_the_rest_refused)
{
	limit(1, 0, 0, 0, 0);
	ck_assert(sends(1, 1, NOON));
	for (int i = 0; i < HELD_MAX; i++)
		ck_assert(!sends(1, 1, NOON) && !v.refuse);
	ck_assert(!sends(1, 1, NOON) && v.refuse);
	ck_assert(!sends(1, 1, NOON + 60) && v.refuse);
	ck_assert(sends_as("bob@trial.example", 1, 1, NOON));
	ck_assert(!sends_as("bob@trial.example", 1, 1, NOON) && !v.refuse);
	ck_assert(sends(1, 1, NOON + DAY));
	ck_assert(!sends(1, 1, NOON + DAY) && !v.refuse);
}
END_TEST

START_TEST(who_was_written_to_before_is_not_new)
{
	limit(0, 0, 0, 0, 3);
	ck_assert(sends(0, 3, NOON));
	ck_assert(sends(0, 3, NOON + 1));
	ck_assert(!sends(0, 4, NOON + 2));
	ck_assert(sends(0, 4, NOON + DAY + SLOT_SECONDS));
	ck_assert(sends(0, 4, NOON + 2 * DAY));
}
END_TEST

START_TEST(a_recipient_named_twice_is_new_once)
{
	uint64_t twice[] = {hash(7), hash(8), hash(7)};
	limit(0, 0, 0, 0, 2);
	book_send(SLICE("a@b.example"), 3, twice, 3, NOON, &v);
	ck_assert(!v.hold);
}
END_TEST

START_TEST(the_administrator_is_told_once_a_user_and_day)
{
	limit(1, 0, 0, 0, 0);
	ck_assert(sends(1, 1, NOON) && !v.tell);
	ck_assert(!sends(1, 1, NOON) && v.tell);
	ck_assert(!sends(1, 1, NOON + 60) && !v.tell);
	ck_assert(sends_as("bob@trial.example", 1, 1, NOON));
	ck_assert(!sends_as("bob@trial.example", 1, 1, NOON) && v.tell);
	ck_assert(sends(1, 1, NOON + DAY));
	ck_assert(!sends(1, 1, NOON + DAY) && v.tell);
}
END_TEST

START_TEST(a_clock_that_goes_back_counts_what_lies_ahead_as_now)
{
	limit(2, 0, 0, 0, 0);
	ck_assert(sends(1, 1, NOON + 10 * (uint64_t)DAY));
	ck_assert(sends(1, 1, NOON + 10 * (uint64_t)DAY));
	ck_assert(!sends(1, 1, NOON));
	ck_assert(sends(1, 1, NOON + HOUR + SLOT_SECONDS));
}
END_TEST

START_TEST(known_recipients_of_one_user_are_bounded_and_the_oldest_go)
{
	for (uint32_t day = 0; day < 4; day++)
		ck_assert(sends(day * 20000, 20000, NOON + day * (uint64_t)DAY));
	const struct user *u = book_find(SLICE("alice@trial.example"));
	ck_assert_uint_eq(u->known.count, KNOWN_MAX / 4 * 3);
	for (uint32_t i = 1; i < u->known.count; i++)
		ck_assert_uint_lt(u->known.entries[i - 1], u->known.entries[i]);
	limit(0, 0, 0, 0, 1);
	ck_assert(sends(60000, 20000, NOON + 5 * (uint64_t)DAY)); /* the newest are there */
	ck_assert(!sends(0, 20000, NOON + 5 * (uint64_t)DAY));
	ck_assert(sends(20000 * 5, 1, NOON + 5 * (uint64_t)DAY));
}
END_TEST

START_TEST(what_is_put_is_found_and_in_order)
{
	struct known k = {0};
	bool there[600] = {false};
	srandom(3);
	for (int round = 0; round < 300; round++) {
		uint64_t list[20];
		size_t count = (size_t)random() % 20, fresh = 0;
		bool seen[600] = {false};
		for (size_t i = 0; i < count; i++) {
			size_t n = (size_t)random() % 600;
			fresh += !there[n] && !seen[n];
			seen[n] = true;
			list[i] = hash(n);
		}
		count = known_prepare(list, count);
		ck_assert_uint_eq(known_fresh(&k, list, count), fresh);
		known_write(&k, list, count, (uint16_t)round);
		for (size_t n = 0; n < 600; n++)
			there[n] |= seen[n];
		for (size_t n = 0; n < 600; n++) {
			uint64_t one = hash(n);
			ck_assert_uint_eq(known_fresh(&k, &one, 1), !there[n]);
		}
	}
	uint64_t again[] = {hash(5)};
	known_write(&k, again, 1, 400);
	again[0] = hash(5);
	ck_assert_uint_eq(known_write(&k, again, 1, 400), 0);
	known_forget(&k, 400);
	ck_assert_uint_eq(k.count, 1);
	known_free(&k);
}
END_TEST

START_TEST(who_has_gone_leaves_nothing)
{
	for (uint32_t i = 0; i < 100; i++) {
		char name[32];
		snprintf(name, sizeof(name), "user%u@trial.example", i);
		ck_assert(sends_as(name, i, 1, NOON + (i % 2 ? 0 : 500 * (uint64_t)DAY)));
	}
	size_t at = 0;
	for (struct user *u; (u = book_at(at));) {
		if (book_tidy(u, NOON + 500 * (uint64_t)DAY))
			book_drop(u);
		else
			at++;
	}
	ck_assert_uint_eq(book_count(), 50);
	ck_assert_ptr_null(book_find(SLICE("user1@trial.example")));
	ck_assert_ptr_nonnull(book_find(SLICE("user2@trial.example")));
}
END_TEST

static size_t resident(void)
{
	unsigned long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "r");
	ck_assert_int_eq(fscanf(f, "%lu %lu", &all, &pages), 2);
	fclose(f);
	return pages * 4096;
}

/* Each has written to forty in twenty messages. */
START_TEST(a_hundred_thousand_users_fit)
{
	struct timespec begun, ended;
	size_t before = resident();
	limit(1000, 1000, 1000, 1000, 1000);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (uint32_t m = 0; m < 20; m++)
		for (uint32_t i = 0; i < 100000; i++) {
			char name[32];
			snprintf(name, sizeof(name), "user%u@trial.example", i);
			ck_assert(sends_as(name, m * 2, 2, NOON + m * HOUR / 2));
		}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	double us = (double)(ended.tv_sec - begun.tv_sec) * 1e6 +
		    (double)(ended.tv_nsec - begun.tv_nsec) / 1e3;
	printf("%zu octets and %.2f us a message and user\n", (resident() - before) / 100000,
	       us / 2e6);
#ifndef __SANITIZE_ADDRESS__
	ck_assert_uint_lt(resident() - before, (size_t)100000 * 1500);
#endif
	ck_assert_uint_eq(book_count(), 100000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("book");
	TCase *c = tcase_create("book");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, without_limits_everything_goes_out);
	tcase_add_test(c, messages_of_an_hour_are_limited_and_an_hour_later_there_is_room);
	tcase_add_test(c, the_hour_slides);
	tcase_add_test(c, each_limit_is_named);
	tcase_add_test(c, a_days_limit_holds_for_a_day);
	tcase_add_test(c, a_held_message_does_not_count);
	tcase_add_test(c, of_one_user_so_many_are_held_in_a_day_and_the_rest_refused);
	tcase_add_test(c, who_was_written_to_before_is_not_new);
	tcase_add_test(c, a_recipient_named_twice_is_new_once);
	tcase_add_test(c, the_administrator_is_told_once_a_user_and_day);
	tcase_add_test(c, a_clock_that_goes_back_counts_what_lies_ahead_as_now);
	tcase_add_test(c, known_recipients_of_one_user_are_bounded_and_the_oldest_go);
	tcase_add_test(c, what_is_put_is_found_and_in_order);
	tcase_add_test(c, who_has_gone_leaves_nothing);
	tcase_add_test(c, a_hundred_thousand_users_fit);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
