/* domains: a memory that forgets all at once. */
#include <check.h>
#include <stdio.h>

#include "common/mail/address.h"
#include "common/mail/domains.h"

static struct domains *known;

static void setup(void)
{
	known = domains_new();
}

static void teardown(void)
{
	domains_free(&known);
}

static void put(const char *domain, const char *text)
{
	domains_put(known, slice_str(domain), slice_str(text));
}

static void expect(const char *domain, const char *text)
{
	struct slice found = SLICE_EMPTY;

	ck_assert_int_eq(domains_find(known, slice_str(domain), &found), text != NULL);
	if (text != NULL)
		ck_assert(slice_equal(found, slice_str(text)));
}

START_TEST(a_domain_is_found_whatever_its_letters)
{
	expect("example.org", NULL);
	put("Example.ORG", "here");
	put("other.example", "");
	expect("example.org", "here");
	expect("EXAMPLE.org", "here");
	expect("OTHER.example", "");
	expect("xample.org", NULL);
	expect("example.org.", NULL);
	expect("", NULL);
}
END_TEST

START_TEST(what_is_put_later_replaces_what_was_there)
{
	put("example.org", "here");
	put("EXAMPLE.ORG", "a longer text");
	expect("example.org", "a longer text");
}
END_TEST

START_TEST(all_is_forgotten_at_once)
{
	put("example.org", "here");
	put("example.net", "there");
	domains_forget(known);
	expect("example.org", NULL);
	expect("example.net", NULL);
	put("example.net", "there");
	expect("example.net", "there");
}
END_TEST

START_TEST(what_is_known_is_of_one_generation_of_settings)
{
	domains_of(known, 1);
	put("example.org", "here");
	domains_of(known, 1);
	expect("example.org", "here");
	domains_of(known, 2);
	expect("example.org", NULL);
	domains_of(known, 1);
	expect("example.org", NULL);
}
END_TEST

START_TEST(it_never_keeps_more_than_its_limit)
{
	char name[32];

	for (int i = 0; i < DOMAINS_MAX; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		put(name, name);
	}
	expect("d0.example", "d0.example");
	put("one.more.example", "x");
	expect("d0.example", NULL);
	expect("one.more.example", "x");
}
END_TEST

START_TEST(no_domain_and_one_too_long_are_not_kept)
{
	char name[ADDRESS_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	put("", "nothing");
	expect("", NULL);
	put(name, "too long");
	expect(name, NULL);
	put(name + 1, "just fits");
	expect(name + 1, "just fits");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("domains");
	TCase *t = tcase_create("domains");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_domain_is_found_whatever_its_letters);
	tcase_add_test(t, what_is_put_later_replaces_what_was_there);
	tcase_add_test(t, all_is_forgotten_at_once);
	tcase_add_test(t, what_is_known_is_of_one_generation_of_settings);
	tcase_add_test(t, it_never_keeps_more_than_its_limit);
	tcase_add_test(t, no_domain_and_one_too_long_are_not_kept);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
