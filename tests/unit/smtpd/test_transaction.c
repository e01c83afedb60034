/*
 * transaction: what a client's recipients may take of our memory.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/smtpd/smtpd.h"

enum { EACH = 1000, ADDRESS = 300 };

static void allow(uint32_t recipients)
{
	struct settings_limits limits = {.recipients = recipients};
	smtpd_settings_begin();
	smtpd_setting(&settings_limits_record, &limits);
	smtpd_settings_end();
}

static void setup(void)
{
	allow(EACH);
}

static struct recipient plain(struct slice address)
{
	static char key[RECIPIENT_KEY_MAX + 1];
	return recipient_make(address, 0, SLICE_EMPTY, key);
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
		struct recipient r = plain(slice_make(address, sizeof(address)));
		if (!transaction_add(t, &r))
			break;
		count++;
	}
	return count;
}

static bool has(const struct transaction *t, struct slice address)
{
	struct recipient r = plain(address);
	return transaction_has(t, &r);
}

static bool add(struct transaction *t, struct slice address, unsigned notify, struct slice orcpt)
{
	char key[RECIPIENT_KEY_MAX + 1];
	struct recipient r = recipient_make(address, notify, orcpt, key);
	return transaction_has(t, &r) || transaction_add(t, &r);
}

START_TEST(a_recipient_is_kept_once)
{
	struct transaction *t = transaction_new(NULL, 1, SLICE("a@b.example"));
	ck_assert(!has(t, SLICE("bob@trial.example")));
	ck_assert(add(t, SLICE("bob@trial.example"), 0, SLICE_EMPTY));
	ck_assert(has(t, SLICE("bob@trial.example")));
	ck_assert(add(t, SLICE("alice@trial.example"), 0, SLICE_EMPTY));
	ck_assert(has(t, SLICE("bob@trial.example")));
	ck_assert(has(t, SLICE("alice@trial.example")));
	ck_assert(!has(t, SLICE("carol@trial.example")));
	ck_assert(add(t, SLICE("alice@trial.example"), 0, SLICE_EMPTY));
	ck_assert_uint_eq(t->recipient_count, 2);
	transaction_free(&t);
}
END_TEST

START_TEST(S35_with_other_dsn_parameters_it_is_another_recipient)
{
	static const struct {
		unsigned notify;
		const char *orcpt;
	} cases[] = {
	    {0, ""},	       {NOTIFY_NEVER, ""}, {NOTIFY_SUCCESS | NOTIFY_DELAY, ""},
	    {0, "rfc822;x@y"}, {0, "rfc822;x@z"},  {NOTIFY_NEVER, "rfc822;x@y"},
	};
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	struct slice bob = SLICE("bob@trial.example");
	struct transaction *t = transaction_new(NULL, 1, SLICE("a@b.example"));
	for (size_t i = 0; i < 2 * COUNT; i++)
		ck_assert(add(t, bob, cases[i % COUNT].notify, slice_str(cases[i % COUNT].orcpt)));
	ck_assert_uint_eq(t->recipient_count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++) {
		const struct recipient *r = &t->recipients[i];
		ck_assert(slice_equal(recipient_address(r), bob));
		ck_assert_uint_eq(r->notify, cases[i].notify);
		ck_assert(slice_equal(recipient_orcpt(r), slice_str(cases[i].orcpt)));
	}
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

/* The commit of a message that no record has room for would fail when all of it has come. */
START_TEST(a_message_takes_no_more_recipients_than_its_record)
{
	enum { MOST = 100000 };
	char address[ADDRESS_MAX], orcpt[ORCPT_MAX];
	size_t each = record_recipient_size(sizeof(address), true, sizeof(orcpt));
	allow(MOST);
	struct transaction *t = transaction_new(NULL, 1, SLICE_EMPTY);
	memset(address, 'x', sizeof(address));
	memset(orcpt, 'x', sizeof(orcpt));
	for (int i = 0; i < MOST; i++) {
		memcpy(address, &i, sizeof(i));
		if (!add(t, slice_make(address, sizeof(address)), NOTIFY_NEVER,
			 slice_make(orcpt, sizeof(orcpt))))
			break;
	}
	ck_assert_uint_eq(t->recipient_count, RECORD_RECIPIENTS_MAX / each);
	transaction_free(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transaction");
	TCase *c = tcase_create("transaction");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_recipient_is_kept_once);
	tcase_add_test(c, S35_with_other_dsn_parameters_it_is_another_recipient);
	tcase_add_test(c, recipients_of_all_sessions_have_one_limit);
	tcase_add_test(c, a_message_takes_no_more_recipients_than_its_record);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
