/*
 * What accounts answers about users tables.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemons/accounts/shelf.h"

static int answers;
static enum accounts_result last;

static void hear(void *arg, const struct accounts_answer *answer)
{
	(void)arg;
	answers++;
	last = (enum accounts_result)answer->result;
	ck_assert((answer->result == ACCOUNTS_TROUBLE) == (answer->text.len > 0));
}

static enum accounts_result ask(const char *spec, const char *user, const char *domain)
{
	answers = 0;
	shelf_ask(slice_str(spec), slice_str(user), slice_str(domain), hear, NULL);
	ck_assert_int_eq(answers, 1);
	return last;
}

static bool load(const char *spec, const char *text)
{
	int fd = memfd_create("users", MFD_CLOEXEC);
	bool there;

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	there = shelf_load(slice_str(spec), fd);
	close(fd);
	return there;
}

static void setup(void)
{
	shelf_begin();
	shelf_name(SLICE("file:/users"));
	shelf_name(SLICE("static:root,guest@example.org"));
	shelf_end();
	load("file:/users", "alice\nBob@Example.org:{PLAIN}x\n\"two words\"@example.org\n");
}

static void teardown(void)
{
	shelf_begin();
	shelf_end();
}

START_TEST(addresses_count_where_they_say_and_bare_names_everywhere)
{
	static const struct {
		const char *spec, *user, *domain;
		enum accounts_result result;
	} cases[] = {
	    {"file:/users", "alice", "example.org", ACCOUNTS_KNOWN},
	    {"file:/users", "alice", "example.com", ACCOUNTS_KNOWN},
	    {"file:/users", "bob", "example.org", ACCOUNTS_KNOWN},
	    {"file:/users", "bob", "example.com", ACCOUNTS_MISSING},
	    {"file:/users", "two words", "example.org", ACCOUNTS_KNOWN},
	    {"file:/users", "carol", "example.org", ACCOUNTS_MISSING},
	    {"file:/users", "alice+x", "example.org", ACCOUNTS_MISSING},
	    {"static:root,guest@example.org", "root", "example.org", ACCOUNTS_KNOWN},
	    {"static:root,guest@example.org", "guest", "example.com", ACCOUNTS_MISSING},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(ask(cases[i].spec, cases[i].user, cases[i].domain) == cases[i].result,
			      "%s@%s", cases[i].user, cases[i].domain);
}
END_TEST

START_TEST(what_can_not_name_a_mailbox_is_no_user)
{
	static const char *const users[] = {"", ".alice", "a/b", "..", "a\nb", "a\177"};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		ck_assert_int_eq(ask("file:/users", users[i], "example.org"), ACCOUNTS_MISSING);
	ck_assert_int_eq(ask("file:/users", "alice", ""), ACCOUNTS_MISSING);
}
END_TEST

START_TEST(S55_a_table_that_is_not_there_is_trouble_and_no_miss)
{
	shelf_begin();
	shelf_name(SLICE("file:/users"));
	shelf_name(SLICE("file:/late"));
	shelf_end();
	ck_assert_int_eq(ask("file:/late", "alice", "example.org"), ACCOUNTS_TROUBLE);
	ck_assert_int_eq(ask("file:/users", "alice", "example.org"), ACCOUNTS_KNOWN);
	ck_assert(load("file:/late", "zoe\n"));
	ck_assert_int_eq(ask("file:/late", "alice", "example.org"), ACCOUNTS_MISSING);
}
END_TEST

START_TEST(only_tables_of_the_configuration_are_looked_into)
{
	ck_assert_int_eq(ask("file:/etc/shadow", "root", "example.org"), ACCOUNTS_TROUBLE);
	ck_assert_int_eq(ask("static:alice", "alice", "example.org"), ACCOUNTS_TROUBLE);
	ck_assert(!load("file:/other", "alice\n"));
	shelf_begin();
	shelf_end();
	ck_assert_int_eq(ask("file:/users", "alice", "example.org"), ACCOUNTS_TROUBLE);
}
END_TEST

START_TEST(a_bad_file_keeps_the_old_content)
{
	ck_assert(load("file:/users", "carol\n"));
	ck_assert_int_eq(ask("file:/users", "carol", "example.org"), ACCOUNTS_KNOWN);
	ck_assert_int_eq(ask("file:/users", "alice", "example.org"), ACCOUNTS_MISSING);
	ck_assert(load("file:/users", "dave\n../../etc/passwd\n"));
	ck_assert_int_eq(ask("file:/users", "carol", "example.org"), ACCOUNTS_KNOWN);
	ck_assert_int_eq(ask("file:/users", "dave", "example.org"), ACCOUNTS_MISSING);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shelf");
	TCase *t = tcase_create("shelf");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, addresses_count_where_they_say_and_bare_names_everywhere);
	tcase_add_test(t, what_can_not_name_a_mailbox_is_no_user);
	tcase_add_test(t, S55_a_table_that_is_not_there_is_trouble_and_no_miss);
	tcase_add_test(t, only_tables_of_the_configuration_are_looked_into);
	tcase_add_test(t, a_bad_file_keeps_the_old_content);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
