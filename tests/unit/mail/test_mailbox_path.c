/* mailbox_path: what a template makes of an address, and which addresses name no mailbox. */
#include <check.h>
#include <stdlib.h>

#include "common/mail/mailbox_path.h"

static const struct {
	const char *template, *user, *domain, *path; /* path NULL: refused */
} cases[] = {
    {"%d/%n", "bob", "example.org", "example.org/bob"},
    {"%u", "bob", "example.org", "bob@example.org"},
    {"%n.%d/Maildir", "bob", "example.org", "bob.example.org/Maildir"},
    {"mail/%d/%n/in", "b", "a", "mail/a/b/in"},
    {"%n", "with blank", "example.org", "with blank"},
    {"%n",
     "b\xc3\xb6"
     "b",
     "example.org",
     "b\xc3\xb6"
     "b"},
    {"%n", "%d", "example.org", "%d"},
    {"%d/%n", "..", "example.org", NULL},
    {"%d/%n", ".", "example.org", NULL},
    {"%d/%n", ".hidden", "example.org", NULL},
    {"%d/%n", "", "example.org", NULL},
    {"%d/%n", "a/b", "example.org", NULL},
    {"%d/%n", "../../etc", "example.org", NULL},
    {"%d/%n", "a\nb", "example.org", NULL},
    {"%d/%n", "a\x7f", "example.org", NULL},
    {"%d/%n", "bob", "", NULL},
    {"%d/%n", "bob", "..", NULL},
    {"%d/%n", "bob", ".example.org", NULL},
    {"%d/%n", "bob", "a/b", NULL},
    {"%d/%n", "bob", "a\tb", NULL},
    {"%n/../%d", "bob", "example.org", NULL},
    {"%n//x", "bob", "example.org", NULL},
    {"/%n", "bob", "example.org", NULL},
    {"%n/", "bob", "example.org", NULL},
    {"%x", "bob", "example.org", NULL},
    {"%n%", "bob", "example.org", NULL},
};

START_TEST(a_template_makes_a_path_below_its_base_or_none)
{
	char path[MAILBOX_PATH_SIZE];
	const char *fault =
	    mailbox_path_expand(slice_str(cases[_i].template), slice_str(cases[_i].user),
				slice_str(cases[_i].domain), path);
	ck_assert_str_eq(path, cases[_i].path ? cases[_i].path : "");
	ck_assert_int_eq(fault == NULL, cases[_i].path != NULL);
}
END_TEST

START_TEST(refuses_a_nul_and_what_no_file_system_takes)
{
	char path[MAILBOX_PATH_SIZE], parts[2 * MAILBOX_PATH_SIZE] = "%n", long_name[256];
	memset(long_name, 'x', sizeof(long_name));
	ck_assert_ptr_nonnull(mailbox_path_expand(SLICE("%n"), SLICE("a\0b"), SLICE("d"), path));
	ck_assert_ptr_nonnull(
	    mailbox_path_expand(SLICE("%n"), slice_make(long_name, 256), SLICE("d"), path));
	ck_assert_ptr_null(
	    mailbox_path_expand(SLICE("%n"), slice_make(long_name, 255), SLICE("d"), path));
	for (size_t i = 2; i + 2 < sizeof(parts); i += 2)
		memcpy(parts + i, "/p", 3);
	ck_assert_ptr_nonnull(mailbox_path_expand(slice_str(parts), SLICE("b"), SLICE("d"), path));
}
END_TEST

START_TEST(a_system_users_mailbox_is_below_the_home_or_a_directory)
{
	static const struct {
		const char *template, *base, *rest; /* base NULL: refused */
	} splits[] = {
	    {"~/Maildir", "", "Maildir"},
	    {"~/mail/%d", "", "mail/%d"},
	    {"/var/mail/%n", "/var/mail", "%n"},
	    {"/srv/%d/%n", "/srv", "%d/%n"},
	    {"/srv/m%d/%n", "/srv", "m%d/%n"},
	    {"/%n", NULL, NULL},
	    {"mail/%n", NULL, NULL},
	    {"", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		struct slice base, rest;
		const char *fault = mailbox_path_split(slice_str(splits[i].template), &base, &rest);
		ck_assert_msg((fault == NULL) == (splits[i].base != NULL), "%s",
			      splits[i].template);
		if (fault)
			continue;
		ck_assert(slice_equal(base, slice_str(splits[i].base)));
		ck_assert(slice_equal(rest, slice_str(splits[i].rest)));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mailbox_path");
	TCase *tc = tcase_create("path");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_loop_test(tc, a_template_makes_a_path_below_its_base_or_none, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, refuses_a_nul_and_what_no_file_system_takes);
	tcase_add_test(tc, a_system_users_mailbox_is_below_the_home_or_a_directory);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
