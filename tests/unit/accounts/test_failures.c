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

/* A client's network is what stands before its last dot, or nothing. */
static struct failures_who who(struct slice client, struct slice account)
{
	size_t dot = client.len;

	while (dot > 0 && client.ptr[dot - 1] != '.')
		dot--;
	return (struct failures_who){
	    .client = client, .network = slice_sub(client, 0, dot), .account = account};
}

static unsigned failures_banned(struct slice client, struct slice account, uint64_t now)
{
	struct failures_who w = who(client, account);
	bool admitted = false;

	return failures_admit(&w, now, &admitted);
}

static void success(struct slice client, struct slice account, uint64_t now)
{
	struct failures_who w = who(client, account);

	failures_success(&w, now);
}

static void setup(void)
{
	failures_settings(AFTER, BAN);
}

static unsigned missed(struct slice client, struct slice account, unsigned times, uint64_t now)
{
	struct failures_who w = who(client, account);
	unsigned begun = 0;

	for (unsigned i = 0; i < times; i++)
		begun |= failures_add(&w, now, &delay);
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

/* An account that many strangers fail with. */
static void attack(uint64_t now)
{
	for (unsigned i = 0; i < AFTER - 1; i++)
		ck_assert_uint_eq(missed(numbered(i), ALICE, 1, now), 0);
	ck_assert_uint_eq(missed(numbered(AFTER), ALICE, 1, now), FAILURES_ACCOUNT_BAN);
}

/* Strangers that are let in at that time, each of a network of its own. */
static unsigned let_in(unsigned tries, uint64_t now)
{
	unsigned found = 0;
	char client[32];

	for (unsigned i = 0; i < tries; i++) {
		snprintf(client, sizeof(client), "%u.%u.1", (unsigned)now, i);
		if (failures_banned(slice_str(client), ALICE, now) == 0) {
			missed(slice_str(client), ALICE, 1, now);
			found++;
		}
	}
	return found;
}

START_TEST(an_account_is_slowed_down_but_not_for_its_owner)
{
	success(SLICE("home"), ALICE, 9000);
	attack(10000);
	ck_assert_uint_gt(let_in(100, 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), ALICE, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE_EMPTY, ALICE, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("home"), ALICE, 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), SLICE("bob@example.org"), 10000), 0);
	ck_assert_uint_eq(failures_banned(SLICE("elsewhere"), ALICE, 10000 + BAN), 0);
}
END_TEST

START_TEST(strangers_have_a_trickle_of_tries_together)
{
	unsigned found = 0;

	attack(10000);
	for (uint64_t now = 10000; now < 10000 + BAN; now += 10)
		found += let_in(20, now);
	ck_assert_uint_ge(found, FAILURES_TRICKLE * AFTER - 1);
	ck_assert_uint_le(found, FAILURES_TRICKLE * AFTER + 3);
}
END_TEST

/* A stranger with one network can't use up what the owner needs in a place where he never was. */
START_TEST(one_network_has_few_of_the_tries)
{
	char client[32];
	unsigned found = 0;

	attack(10000);
	for (unsigned i = 0; i < 250; i++) {
		uint64_t now = 10000 + i;

		snprintf(client, sizeof(client), "bad.%u", i);
		if (failures_banned(slice_str(client), ALICE, now) == 0) {
			missed(slice_str(client), ALICE, 1, now);
			found++;
		}
	}
	ck_assert_uint_eq(found, FAILURES_NEAR_TRIES);
	ck_assert_uint_eq(failures_banned(SLICE("hotel.7"), ALICE, 10250), 0);
}
END_TEST

/* An exchange of SCRAM that is left open costs nothing and fails never. */
START_TEST(one_network_has_few_of_the_tries_though_it_ends_none)
{
	char client[32];
	unsigned found = 0;

	attack(10000);
	for (unsigned i = 0; i < 250; i++) {
		snprintf(client, sizeof(client), "bad.%u", i);
		found += failures_banned(slice_str(client), ALICE, 10000 + i) == 0;
	}
	ck_assert_uint_eq(found, FAILURES_NEAR_TRIES);
	ck_assert_uint_eq(failures_banned(SLICE("hotel.7"), ALICE, 10250), 0);
}
END_TEST

START_TEST(an_attempt_that_was_let_in_is_not_sent_away_at_its_end)
{
	struct failures_who w = who(SLICE("hotel.7"), ALICE);
	bool admitted = false;

	attack(10000);
	ck_assert_uint_eq(failures_admit(&w, 10000, &admitted), 0);
	ck_assert(admitted);
	(void)let_in(100, 10000); /* the others use up the rest */
	ck_assert_uint_eq(failures_admit(&w, 10000, &admitted), 0);
}
END_TEST

START_TEST(neighbours_of_where_the_owner_was_have_the_tries_of_a_client)
{
	success(SLICE("carrier.1"), ALICE, 9000);
	attack(10000);
	(void)let_in(100, 10000);
	ck_assert_uint_eq(failures_banned(SLICE("carrier.2"), ALICE, 10000), 0);
	missed(SLICE("carrier.2"), ALICE, AFTER - 1, 10000);
	ck_assert_uint_eq(failures_banned(SLICE("carrier.3"), ALICE, 10000), 0);
	missed(SLICE("carrier.3"), ALICE, 1, 10000);
	ck_assert_uint_eq(failures_banned(SLICE("carrier.4"), ALICE, 10000), FAILURES_ACCOUNT_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("carrier.1"), ALICE, 10000), 0);
}
END_TEST

START_TEST(a_network_is_banned_for_those_of_it_that_never_logged_in)
{
	char client[32];
	unsigned begun = 0;

	success(SLICE("net.good"), SLICE("bob"), 9000);
	for (unsigned i = 0; i < AFTER * FAILURES_NETWORK_TIMES; i++) {
		ck_assert_uint_eq(begun, 0);
		snprintf(client, sizeof(client), "net.%u", i);
		begun |= missed(slice_str(client), numbered(i), 1, 10000);
	}
	ck_assert_uint_eq(begun, FAILURES_NETWORK_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("net.new"), ALICE, 10999), FAILURES_NETWORK_BAN);
	ck_assert_uint_eq(failures_banned(SLICE("net.good"), ALICE, 10999), 0);
	ck_assert_uint_eq(failures_banned(SLICE("net2.new"), ALICE, 10999), 0);
	ck_assert_uint_eq(failures_banned(SLICE("net.new"), ALICE, 11000), 0);
}
END_TEST

START_TEST(who_has_logged_in_is_not_forgotten_for_those_who_never_did)
{
	success(SLICE("home"), ALICE, 9000);
	for (unsigned i = 0; i <= FAILURES_PAIRS_MAX; i++)
		missed(numbered(i), numbered(i), 1, 10000);
	attack(10000);
	(void)let_in(100, 10000);
	ck_assert_uint_eq(failures_banned(SLICE("home"), ALICE, 10000), 0);
}
END_TEST

START_TEST(a_success_forgives_what_the_same_client_failed_with_the_same_account)
{
	/* who has an account of his own can't try others for ever with it */
	missed(CLIENT, ALICE, AFTER - 1, 10000);
	success(CLIENT, SLICE("mallory@example.org"), 10000);
	ck_assert_uint_ne(missed(CLIENT, ALICE, 1, 10000), 0);
	/* who mistypes and then does not has all his tries again */
	missed(SLICE("home"), SLICE("bob"), AFTER - 1, 10000);
	success(SLICE("home"), SLICE("bob"), 10000);
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
	tcase_add_test(t, an_account_is_slowed_down_but_not_for_its_owner);
	tcase_add_test(t, strangers_have_a_trickle_of_tries_together);
	tcase_add_test(t, one_network_has_few_of_the_tries);
	tcase_add_test(t, one_network_has_few_of_the_tries_though_it_ends_none);
	tcase_add_test(t, an_attempt_that_was_let_in_is_not_sent_away_at_its_end);
	tcase_add_test(t, neighbours_of_where_the_owner_was_have_the_tries_of_a_client);
	tcase_add_test(t, a_network_is_banned_for_those_of_it_that_never_logged_in);
	tcase_add_test(t, who_has_logged_in_is_not_forgotten_for_those_who_never_did);
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
