/*
 * A users table that is edited: what changes and what stays, who owns it, two at once, and what is
 * not written at all.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/stagepost/users_file.h"
#include "commands/stagepost/users_place.h"

static char folder[] = "/tmp/stagepost-test-XXXXXX", path[64];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/users", folder);
}

static void remove_folder(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left there */
}

static void put(const char *text)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void has(const char *text)
{
	char got[4096];
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	ck_assert_str_eq(got, text);
}

enum change { SET, ADD, REMOVE };

START_TEST(changes_one_entry_and_nothing_else)
{
	static const struct {
		const char *before, *key;
		enum change change;
		const char *after;
	} cases[] = {
	    {"# all\n\n  a@x:{PLAIN}1:5:6::/h::e=1 \nb@x:old\n", "a@x", SET,
	     "# all\n\n  a@x:NEW:5:6::/h::e=1 \nb@x:old\n"},
	    {"a@x:1\nb@x:2\nc@x:3\n", "b@x", SET, "a@x:1\nb@x:NEW\nc@x:3\n"},
	    {"a@x\nb", "b", SET, "a@x\nb:NEW"},
	    {"A@X:1\r\nb:2\r\n", "a@x", SET, "A@X:NEW\r\nb:2\r\n"},
	    {"a@x:1\na@x:2\n", "a@x", SET, "a@x:NEW\na@x:2\n"},
	    {"\"a\"@x:1\n", "a@x", SET, "\"a\"@x:NEW\n"},
	    {"", "a@x", ADD, "a@x:NEW\n"},
	    {"b:2", "a@x", ADD, "b:2\na@x:NEW\n"},
	    {"b:2\n# end\n", "a@x", ADD, "b:2\n# end\na@x:NEW\n"},
	    {"a@x:1\nb:2\n# c\n", "b", REMOVE, "a@x:1\n# c\n"},
	    {"a@x:1\n   b:2", "b", REMOVE, "a@x:1\n"},
	    {"b:2\n", "b", REMOVE, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct users_file f;
		struct users_line line;
		put(cases[i].before);
		ck_assert_int_eq(users_file_open(&f, path, USERS_EDIT), EX_OK);
		ck_assert_int_eq(users_file_find(&f, slice_str(cases[i].key), &line),
				 cases[i].change != ADD);
		if (cases[i].change == SET)
			users_file_set(&f, &line, SLICE("NEW"));
		else if (cases[i].change == ADD)
			users_file_add(&f, slice_str(cases[i].key), SLICE("NEW"));
		else
			users_file_remove(&f, &line);
		ck_assert_int_eq(users_file_write(&f), EX_OK);
		users_file_close(&f);
		has(cases[i].after);
	}
}
END_TEST

START_TEST(finds_no_comment_and_no_other_name)
{
	struct users_file f;
	struct users_line line;
	put("# a@x:1\n#b:2\nab@x:3\na@xy:4\n");
	ck_assert_int_eq(users_file_open(&f, path, USERS_READ), EX_OK);
	ck_assert(!users_file_find(&f, SLICE("a@x"), &line));
	ck_assert(!users_file_find(&f, SLICE("b"), &line));
	ck_assert(!users_file_find(&f, SLICE(""), &line));
	ck_assert(users_file_find(&f, SLICE("ab@x"), &line));
	users_file_close(&f);
}
END_TEST

START_TEST(keeps_owner_and_mode)
{
	struct users_file f;
	struct stat st;
	put("a:1\n");
	ck_assert_int_eq(chmod(path, 0640), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path, 12, 34), 0);
	ck_assert_int_eq(users_file_open(&f, path, USERS_EDIT), EX_OK);
	users_file_add(&f, SLICE("b"), SLICE("2"));
	ck_assert_int_eq(users_file_write(&f), EX_OK);
	users_file_close(&f);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	if (geteuid() == 0)
		ck_assert(st.st_uid == 12 && st.st_gid == 34);
}
END_TEST

START_TEST(makes_a_file_that_nobody_else_reads)
{
	struct users_file f;
	struct stat st;
	ck_assert_int_eq(users_file_open(&f, path, USERS_EDIT), EX_DATAERR);
	ck_assert_int_eq(users_file_open(&f, path, USERS_MAKE), EX_OK);
	users_file_add(&f, SLICE("b"), SLICE("2"));
	ck_assert_int_eq(users_file_write(&f), EX_OK);
	users_file_close(&f);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	has("b:2\n");
}
END_TEST

START_TEST(writes_no_table_that_the_server_would_refuse)
{
	static const char *const bad[] = {"a@x:1\n../b:2\n", "a@x:1\nb:{X:2\n", "a@x:1\nb@:2\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct users_file f;
		put(bad[i]);
		ck_assert_int_eq(users_file_open(&f, path, USERS_EDIT), EX_OK);
		users_file_add(&f, SLICE("c"), SLICE("3"));
		ck_assert_int_eq(users_file_write(&f), EX_DATAERR);
		users_file_close(&f);
		has(bad[i]);
	}
}
END_TEST

START_TEST(follows_no_link_and_takes_no_device)
{
	struct users_file f;
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(users_file_open(&f, path, USERS_EDIT), EX_DATAERR);
}
END_TEST

/* Each of them adds its own, all at once; what one has put there, the next has read. */
START_TEST(two_editors_lose_nothing)
{
	enum { EDITORS = 8, EACH = 10 };
	struct users_file f;
	struct users_line line;
	put("");
	for (int i = 0; i < EDITORS; i++) {
		if (fork() != 0)
			continue;
		for (int k = 0; k < EACH; k++) {
			char name[32];
			snprintf(name, sizeof(name), "u%d-%d@x", i, k);
			if (users_file_open(&f, path, USERS_EDIT) != EX_OK)
				_exit(1);
			users_file_add(&f, slice_str(name), SLICE("1"));
			if (users_file_write(&f) != EX_OK)
				_exit(2);
			users_file_close(&f);
		}
		_exit(0);
	}
	for (int i = 0, status; i < EDITORS; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(users_file_open(&f, path, USERS_READ), EX_OK);
	size_t count = 0;
	for (size_t at = 0; users_file_next(&f, &at, &line);)
		count++;
	ck_assert_uint_eq(count, EDITORS * EACH);
	users_file_close(&f);
}
END_TEST

START_TEST(a_name_is_the_whole_address)
{
	static const struct {
		const char *said, *address, *local;
	} cases[] = {
	    {"alice", "alice@x.example", "alice"},
	    {"Alice@Y.example", "alice@y.example", "alice"},
	    {"\"alice\"@y.example", "alice@y.example", "alice"},
	    {"a@b\xc3\xbc"
	     "cher.example",
	     "a@xn--bcher-kva.example", "a"},
	    {"a b", NULL, NULL},
	    {"", NULL, NULL},
	    {"@x", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct users_name n;
		int code = users_name_read(&n, cases[i].said, "x.example");
		ck_assert_msg((code == EX_OK) == (cases[i].address != NULL), "%s", cases[i].said);
		if (code != EX_OK)
			continue;
		ck_assert_str_eq(n.address, cases[i].address);
		ck_assert_str_eq(n.local, cases[i].local);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("users_file");
	TCase *t = tcase_create("file");
	tcase_add_checked_fixture(t, make_folder, remove_folder);
	tcase_add_test(t, changes_one_entry_and_nothing_else);
	tcase_add_test(t, finds_no_comment_and_no_other_name);
	tcase_add_test(t, keeps_owner_and_mode);
	tcase_add_test(t, makes_a_file_that_nobody_else_reads);
	tcase_add_test(t, writes_no_table_that_the_server_would_refuse);
	tcase_add_test(t, follows_no_link_and_takes_no_device);
	tcase_add_test(t, two_editors_lose_nothing);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	t = tcase_create("name");
	tcase_add_test(t, a_name_is_the_whole_address);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
