/*
 * hasher: who waits for whom. The order is what counts, not how long a hash takes.
 */
#include <check.h>
#include <crypt.h>
#include <stdio.h>
#include <string.h>

#include "common/os/loop.h"
#include "common/password/password.h"
#include "daemons/accounts/hasher.h"

enum { WAIT_SECONDS = 60 };

static const struct slice guesser = {"guesser", 7}, user = {"user", 4};
static char entry[PASSWORD_ENTRY_MAX];
static unsigned guesses_before_user;
static bool user_done, user_holds;

static void guessed(void *arg, bool holds)
{
	(void)arg;
	ck_assert(!holds);
	guesses_before_user++;
}

static void known(void *arg, bool holds)
{
	(void)arg;
	user_done = true;
	user_holds = holds;
	loop_stop();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it was not done in time");
}

static void setup(void)
{
	/* some 10 ms: the guesser's are not over before the user asks */
	const char *hash = crypt("the password", "$6$rounds=20000$abcdefgh$");
	ck_assert_ptr_nonnull(hash);
	snprintf(entry, sizeof(entry), "{SHA512-CRYPT}%s", hash);
	hasher_start();
}

static bool guess(void)
{
	return hasher_ask(guesser, false, slice_str(entry), SLICE("a guess"), guessed, NULL);
}

/* A client that has as much in work as it may. */
static void flood(void)
{
	unsigned taken = 0;
	while (guess())
		taken++;
	ck_assert_uint_ge(taken, HASHER_CLIENT_MAX);
}

START_TEST(a_guesser_waits_for_himself)
{
	struct loop_timer timer = {0};
	flood();
	ck_assert(hasher_ask(user, false, slice_str(entry), SLICE("the password"), known, NULL));
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	loop_run();
	ck_assert(user_done && user_holds);
	/* those that threads had begun, and one more each before it was our turn */
	ck_assert_uint_le(guesses_before_user, 2 * HASHER_THREADS + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hasher");
	TCase *tc = tcase_create("hasher");
	tcase_set_timeout(tc, 2 * WAIT_SECONDS);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_guesser_waits_for_himself);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
