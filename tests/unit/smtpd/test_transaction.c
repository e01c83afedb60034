/*
 * transaction: what a client's recipients may take of our memory.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/smtpd/smtpd.h"

enum { EACH = 1000, ADDRESS = 300 };

static void setup(void)
{
	struct settings_limits limits = {.recipients = EACH};
	server_settings_begin();
	server_setting(&settings_limits_record, &limits);
	server_settings_end();
}

/* As many recipients as it takes; 0 is none any more. */
static size_t fill(struct transaction *t)
{
	char address[ADDRESS];
	size_t count = 0;
	memset(address, 'x', sizeof(address));
	while (count < EACH) {
		int len = snprintf(address, sizeof(address), "%zu", count);
		address[len] = 'x';
		if (!transaction_add(t, slice_make(address, sizeof(address))))
			break;
		count++;
	}
	return count;
}

START_TEST(a_recipient_is_kept_once)
{
	struct transaction *t = transaction_new(NULL, 1, SLICE("a@b.example"));
	ck_assert(!transaction_has(t, SLICE("bob@trial.example")));
	ck_assert(transaction_add(t, SLICE("bob@trial.example")));
	ck_assert(transaction_has(t, SLICE("bob@trial.example")));
	ck_assert(transaction_add(t, SLICE("alice@trial.example")));
	ck_assert(transaction_has(t, SLICE("bob@trial.example")));
	ck_assert(transaction_has(t, SLICE("alice@trial.example")));
	ck_assert(!transaction_has(t, SLICE("carol@trial.example")));
	transaction_free(&t);
}
END_TEST

START_TEST(recipients_of_all_sessions_have_one_limit)
{
	enum { MANY = RECIPIENTS_MEMORY_MAX / (EACH * ADDRESS) + 1 };
	struct transaction *t[MANY];
	size_t count = 0;
	for (size_t i = 0; i < MANY; i++) {
		t[i] = transaction_new(NULL, i + 1, SLICE_EMPTY);
		count += fill(t[i]);
	}
	ck_assert_uint_eq(count, RECIPIENTS_MEMORY_MAX / (ADDRESS + RECIPIENT_MEMORY));
	for (size_t i = 0; i < MANY; i++)
		transaction_free(&t[i]);
	t[0] = transaction_new(NULL, 1, SLICE_EMPTY); /* all of it came back */
	ck_assert_uint_eq(fill(t[0]), EACH);
	transaction_free(&t[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transaction");
	TCase *c = tcase_create("transaction");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_recipient_is_kept_once);
	tcase_add_test(c, recipients_of_all_sessions_have_one_limit);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
