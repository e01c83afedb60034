/*
 * failures: who is banned, how long, and who is not.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/accounts/failures.h"

enum { AFTER = 3 };
#define BAN    UINT64_C(1000)
#define CLIENT SLICE("client")
#define ALICE  SLICE("alice@example.org")

static uint64_t delay;

static void setup(void)
{
	failures_settings(AFTER, BAN);
}

static unsigned missed(struct slice client, struct slice account, unsigned times, uint64_t now)
{
	unsigned begun = 0;

	for (unsigned i = 0; i < times; i++)
		begun |= failures_add(client, account, now, &delay);
	return begun;
}

static struct slice numbered(unsigned number)
{
	static char text[32];

	snprintf(text, sizeof(text), "number %u", number);
	return slice_str(text);
}

START_TEST(a_client_is_banned_from_all_accounts_until_the_ban_ends)
{
	for (unsigned i = 0; i < AFTER - 1; i++)
		ck_assert_uint_eq(missed(CLIENT, numbered(i), 1, 10000), 0);
	ck_assert_uint_eq(failures_banned(CLIENT, ALICE, 10000), 0);
	ck_assert_uint_eq(missed(CLIENT, numbered(9), 1, 10000), FAILURES_CLIENT_BAN);
	ck_assert_uint_eq(failures_banned(CLIENT, ALICE, 10000), FAILURES_CLIENT_BAN);
	ck_assert_uint_eq(failures_banned(CLIENT, SLICE_EMPTY, 10999), FAILURES_CLIENT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("other"), ALICE, 10999), 0);
	ck_assert_uint_eq(failures_banned(CLIENT, ALICE, 11000), 0);
	/* and then it has as many tries as before */
	ck_assert_uint_eq(missed(CLIENT, numbered(10), AFTER - 1, 11000), 0);
}
END_TEST

START_TEST(old_failures_do_not_count)
{
	missed(CLIENT, ALICE, AFTER - 1, 10000);
	ck_assert_uint_eq(missed(CLIENT, ALICE, AFTER - 1, 10000 + BAN), 0);
	ck_assert_uint_ne(missed(CLIENT, ALICE, 1, 10000 + BAN), 0);
}
END_TEST

/* The clock is that of the machine's start. */
START_TEST(soon_after_the_start_failures_count_as_long_as_ever)
{
	ck_assert_uint_eq(missed(CLIENT, ALICE, AFTER - 1, BAN / 2), 0);
	ck_assert_uint_ne(missed(CLIENT, ALICE, 1, BAN + 1), 0);
}
END_TEST

START_TEST(an_account_is_banned_but_not_for_its_owner)
{
	failures_success(SLICE("home"), ALICE, 9000);
	for (unsigned i = 0; i < AFTER - 1; i++)
		ck_assert_uint_eq(missed(numbered(i), ALICE, 1, 10000), 0);
	ck_assert_uint_eq(missed(numbered(AFTER), ALICE, 1, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), ALICE, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE_EMPTY, ALICE, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("home"), ALICE, 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), SLICE("bob@example.org"), 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), ALICE, 10000 + BAN), 0);
}
END_TEST

START_TEST(a_success_forgives_what_the_same_client_failed_with_the_same_account)
{
	/* who has an account of his own can't try others for ever with it */
	missed(CLIENT, ALICE, AFTER - 1, 10000);
	failures_success(CLIENT, SLICE("mallory@example.org"), 10000);
	ck_assert_uint_ne(missed(CLIENT, ALICE, 1, 10000), 0);
	/* who mistypes and then does not has all his tries again */
	missed(SLICE("home"), SLICE("bob"), AFTER - 1, 10000);
	failures_success(SLICE("home"), SLICE("bob"), 10000);
	ck_assert_uint_eq(missed(SLICE("home"), SLICE("bob"), AFTER - 1, 10000), 0);
}
END_TEST

START_TEST(answers_wait_longer_each_time_up_to_a_limit)
{
	uint64_t before = 0;

	failures_settings(1000, BAN);
	for (unsigned i = 0; i < 20; i++) {
		missed(CLIENT, ALICE, 1, 10000);
		ck_assert_uint_ge(delay, FAILURES_DELAY_US);
		ck_assert_uint_le(delay, FAILURES_DELAY_MOST_US);
		ck_assert_uint_ge(delay, before);
		before = delay;
	}
	ck_assert_uint_eq(before, FAILURES_DELAY_MOST_US);
	missed(SLICE("other"), ALICE, 1, 10000);
	ck_assert_uint_eq(delay, FAILURES_DELAY_US);
}
END_TEST

START_TEST(memory_is_bounded_and_the_oldest_goes)
{
	missed(CLIENT, ALICE, AFTER, 10000);
	for (unsigned i = 0; i < FAILURES_CLIENTS_MAX - 1; i++)
		missed(numbered(i), SLICE_EMPTY, 1, 10000);
	ck_assert_uint_eq(failures_banned(CLIENT, SLICE_EMPTY, 10000), FAILURES_CLIENT_BAN);
	missed(SLICE("one more"), SLICE_EMPTY, 1, 10000);
	ck_assert_uint_eq(failures_banned(CLIENT, SLICE_EMPTY, 10000), 0);
}
END_TEST

START_TEST(who_is_not_known_is_not_counted)
{
	ck_assert_uint_eq(missed(SLICE_EMPTY, SLICE_EMPTY, 10 * AFTER, 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE_EMPTY, SLICE_EMPTY, 10000), 0);
	ck_assert_uint_eq(missed(SLICE_EMPTY, ALICE, AFTER, 10000), FAILURES_ACCOUNT_BAN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("failures");
	TCase *t = tcase_create("failures");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, failures_forget);
	tcase_add_test(t, a_client_is_banned_from_all_accounts_until_the_ban_ends);
	tcase_add_test(t, old_failures_do_not_count);
	tcase_add_test(t, soon_after_the_start_failures_count_as_long_as_ever);
	tcase_add_test(t, an_account_is_banned_but_not_for_its_owner);
	tcase_add_test(t, a_success_forgives_what_the_same_client_failed_with_the_same_account);
	tcase_add_test(t, answers_wait_longer_each_time_up_to_a_limit);
	tcase_add_test(t, memory_is_bounded_and_the_oldest_goes);
	tcase_add_test(t, who_is_not_known_is_not_counted);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
