/*
 * The picture of the house: who is there, who speaks with whom, who is given what.
 */
#include <check.h>

#include "common/os/sandbox.h"
#include "master/services.h"

START_TEST(every_role_has_a_name_and_a_sandbox)
{
	for (unsigned i = 0; i < ROLES; i++) {
		ck_assert_ptr_nonnull(services[i].name);
		ck_assert_ptr_nonnull(sandbox_find(services[i].name));
		ck_assert(services[i].count > 0 || services[i].count_key);
		ck_assert_uint_lt(services[i].stop, STOP_STAGES);
	}
}
END_TEST

static const struct {
	enum role_id a, b;
	bool linked;
} links[] = {
    {ROLE_SMTPD, ROLE_ROUTER, true},
    {ROLE_SMTPD, ROLE_QUEUE, true},
    {ROLE_QUEUE, ROLE_ROUTER, true},
    {ROLE_QUEUE, ROLE_LOCAL, true},
    {ROLE_ROUTER, ROLE_ACCOUNTS, true},
    {ROLE_CONTROL, ROLE_QUEUE, true},
    {ROLE_CONTROL, ROLE_ROUTER, true},
    {ROLE_SMTPD, ROLE_LOCAL, false},
    {ROLE_SMTPD, ROLE_ACCOUNTS, false},
    {ROLE_SMTPD, ROLE_CONTROL, false},
    {ROLE_SMTPD, ROLE_SMTPD, false},
    {ROLE_LOG, ROLE_SMTPD, false},
    {ROLE_CONTROL, ROLE_ACCOUNTS, true},
    {ROLE_LOCAL, ROLE_LOCAL, false},
    {ROLE_QUEUE, ROLE_LOCAL_SYSTEM, true},
    {ROLE_ACCOUNTS, ROLE_ACCOUNTS_SYSTEM, true},
    {ROLE_ACCOUNTS, ROLE_LOCAL_SYSTEM, true},
    {ROLE_ROUTER, ROLE_ACCOUNTS_SYSTEM, false},
    {ROLE_SMTPD, ROLE_ACCOUNTS_SYSTEM, false},
    {ROLE_SMTPD, ROLE_LOCAL_SYSTEM, false},
    {ROLE_ROUTER, ROLE_LOCAL_SYSTEM, false},
    {ROLE_SMTPD, ROLE_RESOLVER, true},
    {ROLE_ROUTER, ROLE_RESOLVER, false},
    {ROLE_SUBMISSION, ROLE_ACCOUNTS, true},
    {ROLE_SUBMISSION, ROLE_USAGE, true},
    {ROLE_SMTPD, ROLE_USAGE, false},
    {ROLE_SMTPD, ROLE_KEYS, true},
    {ROLE_POP3D, ROLE_KEYS, true},
    {ROLE_POP3D, ROLE_QUEUE, false},
    {ROLE_PICKUP, ROLE_QUEUE, false},
    {ROLE_ROUTER, ROLE_KEYS, false},
    {ROLE_ACCOUNTS, ROLE_KEYS, false},
};

START_TEST(links_are_the_same_seen_from_both_ends)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		ck_assert(services_linked(links[i].a, links[i].b) == links[i].linked);
		ck_assert(services_linked(links[i].b, links[i].a) == links[i].linked);
	}
}
END_TEST

START_TEST(who_meets_strangers_is_given_nothing_else)
{
	ck_assert_uint_eq(services[ROLE_SMTPD].gifts, GIFT_CERTIFICATES);
	ck_assert_uint_eq(services[ROLE_SUBMISSION].gifts, GIFT_CERTIFICATES | GIFT_SUBMIT);
	ck_assert_uint_eq(services[ROLE_POP3D].gifts, GIFT_CERTIFICATES);
	for (unsigned i = 0; i < ROLES; i++)
		ck_assert(!services[i].listens || !services[i].as_owner);
}
END_TEST

/* Certificates are what every client is shown. */
START_TEST(each_secret_gift_has_one_owner)
{
	unsigned seen = 0;
	for (unsigned i = 0; i < ROLES; i++) {
		unsigned gifts = services[i].gifts & ~(unsigned)GIFT_CERTIFICATES;
		ck_assert_uint_eq(seen & gifts, 0);
		seen |= gifts;
	}
}
END_TEST

/* ... with pickup, whose sessions are like a stranger's. */
START_TEST(log_stops_last_and_who_listens_first)
{
	for (unsigned i = 0; i < ROLES; i++) {
		if (i != ROLE_LOG)
			ck_assert_uint_lt(services[i].stop, services[ROLE_LOG].stop);
		if (services[i].listens || i == ROLE_PICKUP)
			ck_assert_uint_eq(services[i].stop, 0);
		else
			ck_assert_uint_gt(services[i].stop, 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("services");
	TCase *t = tcase_create("table");
	SRunner *sr;
	int failed;
	tcase_add_test(t, every_role_has_a_name_and_a_sandbox);
	tcase_add_test(t, links_are_the_same_seen_from_both_ends);
	tcase_add_test(t, who_meets_strangers_is_given_nothing_else);
	tcase_add_test(t, each_secret_gift_has_one_owner);
	tcase_add_test(t, log_stops_last_and_who_listens_first);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
