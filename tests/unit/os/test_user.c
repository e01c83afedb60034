/* user: names, and the way down from root. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/user.h"

enum { NOBODY = 65534 };

START_TEST(root_is_found_by_name_and_number)
{
	uid_t uid = 1;
	gid_t gid = 1;
	struct error e;
	char name[32];
	ck_assert(user_find("root", &uid, &gid, &e));
	ck_assert_uint_eq(uid, 0);
	ck_assert_uint_eq(gid, 0);
	ck_assert(user_find_group("root", &gid, &e));
	ck_assert_uint_eq(gid, 0);
	ck_assert(user_name(0, name, sizeof(name)));
	ck_assert_str_eq(name, "root");
}
END_TEST

START_TEST(who_is_not_there_is_no_error_of_the_look_up)
{
	struct error e;
	gid_t gid;
	char name[32];
	ck_assert(!user_find("no-such-user-here", NULL, NULL, &e));
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert(!user_find_group("no-such-group-here", &gid, &e));
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert(!user_name(3999999999U, name, sizeof(name)));
	ck_assert_str_eq(name, "3999999999");
}
END_TEST

START_TEST(there_is_no_way_back)
{
	if (!user_is_root())
		return;
	pid_t pid = fork();
	if (pid == 0) {
		struct error e;
		if (!user_become(NOBODY, NOBODY, &e))
			_exit(1);
		if (getuid() != NOBODY || getegid() != NOBODY || getgroups(0, NULL) != 0)
			_exit(2);
		if (setuid(0) == 0 || setgid(0) == 0 || user_is_root())
			_exit(3);
		_exit(user_become(NOBODY - 1, NOBODY, &e) ? 4 : 0);
	}
	int state;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	ck_assert_int_eq(state, 0);
}
END_TEST

START_TEST(an_account_is_found_with_its_groups_and_home)
{
	struct user_account a;
	struct error e;
	ck_assert(user_account_find("mail", &a, &e));
	ck_assert_uint_eq(a.uid, 8);
	ck_assert_str_eq(a.home, "/var/mail");
	ck_assert_uint_ge(a.group_count, 1);
	for (size_t i = 0; i < a.group_count; i++)
		ck_assert_uint_ne(a.groups[i], 0);
	ck_assert(!user_account_find("no-such-user-here", &a, &e));
	ck_assert_int_eq(e.code, ENOENT);
}
END_TEST

START_TEST(what_may_be_a_login_name)
{
	static const struct {
		const char *name;
		bool valid;
	} names[] = {
	    {"alice", true},
	    {"alice.b_c-d", true},
	    {"x$", true},
	    {"j\303\266rg", true},
	    {"", false},
	    {"-x", false},
	    {".x", false},
	    {"a b", false},
	    {"a:b", false},
	    {"a/b", false},
	    {"a,b", false},
	    {"a\nb", false},
	    {"DOM\\user", false},
	    {"12345678901234567890123456789012", true},
	    {"123456789012345678901234567890123", false},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(user_name_valid(slice_str(names[i].name)) == names[i].valid, "%s",
			      names[i].name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("user");
	TCase *tc = tcase_create("user");
	tcase_add_test(tc, root_is_found_by_name_and_number);
	tcase_add_test(tc, who_is_not_there_is_no_error_of_the_look_up);
	tcase_add_test(tc, there_is_no_way_back);
	tcase_add_test(tc, an_account_is_found_with_its_groups_and_home);
	tcase_add_test(tc, what_may_be_a_login_name);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
