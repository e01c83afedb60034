/* maildir: what a session sees of a Maildir, and what it removes. */
#include <errno.h>
#include <sys/wait.h>

#include "tests/unit/maildrop/box.h"

static struct drop d;
static struct error e;

static void setup(void)
{
	box_setup();
	box_mkdir("m");
	box_mkdir("m/new");
	box_mkdir("m/cur");
	box_mkdir("m/tmp");
	memset(&e, 0, sizeof(e));
}

static void open_it(void)
{
	ck_assert_int_eq(box_open(&d, &drop_maildir, "m", &e), MAILDROP_READY);
}

START_TEST(messages_have_the_order_of_arrival_with_size_and_id)
{
	box_write("m/new/20.M1P1.h,S=2,W=3", "b\n");
	box_write("m/cur/10.M5P1.h:2,S", "a\nx\n");
	box_write("m/new/10.M11P1.h", "c");
	box_write("m/tmp/5.M1P1.h", "not yet delivered");
	box_write("m/new/.hidden", "no message");
	open_it();
	ck_assert_uint_eq(d.count, 3);
	ck_assert_str_eq(box_unique(&d, 0), "10.M5P1.h");
	ck_assert_str_eq(box_unique(&d, 1), "10.M11P1.h");
	ck_assert_str_eq(box_unique(&d, 2), "20.M1P1.h");
	ck_assert_uint_eq(drop_maildir.octets(&d, 0), 6);
	ck_assert_uint_eq(drop_maildir.octets(&d, 1), 3);
	ck_assert_uint_eq(drop_maildir.octets(&d, 2), 3);
	ck_assert_str_eq(box_message(&d, 0, 3), "a\nx\n");
	ck_assert_str_eq(box_message(&d, 2, 1), "b\n");
	ck_assert_str_eq(box_message(&d, 1, 100), "c");
	box_close(&d);
}
END_TEST

START_TEST(a_mailbox_that_is_not_there_is_empty)
{
	ck_assert_int_eq(box_open(&d, &drop_maildir, "missing", &e), MAILDROP_READY);
	ck_assert_uint_eq(d.count, 0);
	ck_assert(!box_has("missing"));
	box_close(&d);
	box_mkdir("bare");
	ck_assert_int_eq(box_open(&d, &drop_maildir, "bare", &e), MAILDROP_READY);
	ck_assert_uint_eq(d.count, 0);
	box_close(&d);
}
END_TEST

static const char *const outside[] = {"../x", "/etc", "m/../../x", "out", "out/x"};

START_TEST(no_path_leads_out_of_the_base)
{
	ck_assert_int_eq(symlinkat("/etc", box_dir, "out"), 0);
	d = (struct drop){.kind = &drop_maildir, .dir = -1};
	ck_assert(!drop_maildir.prepare(&d, box_dir, outside[_i], &e) || d.dir < 0);
}
END_TEST

START_TEST(what_is_no_file_of_ours_is_no_message)
{
	box_write("secret", "another's");
	ck_assert_int_eq(symlinkat("../../secret", box_dir, "m/new/1.M1.h,S=9,W=9"), 0);
	ck_assert_int_eq(mkfifoat(box_dir, "m/new/2.M1.h", 0600), 0);
	box_mkdir("m/cur/3.M1.h");
	box_write("m/new/4.M1.h", "mail\n");
	if (geteuid() == 0) {
		box_write("m/new/5.M1.h", "another's");
		ck_assert_int_eq(fchownat(box_dir, "m/new/5.M1.h", 60001, 60001, 0), 0);
	}
	open_it();
	ck_assert_uint_eq(d.count, 1);
	ck_assert_uint_eq(d.skipped, geteuid() == 0 ? 4 : 3);
	ck_assert_str_eq(box_message(&d, 0, 100), "mail\n");
	box_close(&d);
}
END_TEST

/* It was a file when it was listed, and said its size. */
START_TEST(a_file_that_became_a_link_can_not_be_read)
{
	box_write("secret", "another's");
	box_write("m/new/1.M1.h,S=2,W=3", "a\n");
	open_it();
	ck_assert_int_eq(unlinkat(box_dir, "m/new/1.M1.h,S=2,W=3", 0), 0);
	ck_assert_int_eq(symlinkat("../../secret", box_dir, "m/new/1.M1.h,S=2,W=3"), 0);
	ck_assert_ptr_null(box_message(&d, 0, 100));
	box_close(&d);
}
END_TEST

START_TEST(one_session_at_a_time)
{
	struct drop other;
	open_it();
	ck_assert_int_eq(box_open(&other, &drop_maildir, "m", &e), MAILDROP_LOCKED);
	box_close(&other);
	box_close(&d);
	open_it();
	box_close(&d);
}
END_TEST

START_TEST(a_lock_that_is_no_file_of_ours_is_trouble)
{
	ck_assert_int_eq(mkfifoat(box_dir, "m/stagepost-pop3.lock", 0600), 0);
	ck_assert_int_eq(box_open(&d, &drop_maildir, "m", &e), MAILDROP_TROUBLE);
	box_close(&d);
}
END_TEST

START_TEST(only_what_is_marked_is_removed)
{
	bool marked[3] = {true, false, true};
	box_write("m/new/1.M1.h", "a\n");
	box_write("m/new/2.M1.h", "b\n");
	box_write("m/cur/3.M1.h:2,S", "c\n");
	open_it();
	box_write("m/new/4.M1.h", "came meanwhile\n");
	ck_assert_uint_eq(drop_maildir.remove(&d, marked, &e), 2);
	box_close(&d);
	ck_assert(!box_has("m/new/1.M1.h") && !box_has("m/cur/3.M1.h:2,S"));
	ck_assert(box_has("m/new/2.M1.h") && box_has("m/new/4.M1.h"));
}
END_TEST

static void rename_in(const char *from, const char *to)
{
	ck_assert_int_eq(renameat(box_dir, from, box_dir, to), 0);
}

/* As an IMAP server does. */
START_TEST(a_message_that_moved_meanwhile_is_found)
{
	bool marked[3] = {true, true, true};
	box_write("m/new/1.M1.h,S=2,W=3", "a\n");
	box_write("m/new/2.M1.h", "b\n");
	box_write("m/cur/3.M1.h:2,", "c\n");
	open_it();
	rename_in("m/new/1.M1.h,S=2,W=3", "m/cur/1.M1.h,S=2,W=3:2,S");
	ck_assert_str_eq(box_message(&d, 0, 100), "a\n");
	ck_assert_str_eq(box_unique(&d, 0), "1.M1.h");
	rename_in("m/new/2.M1.h", "m/cur/2.M1.h:2,T");
	rename_in("m/cur/3.M1.h:2,", "m/cur/3.M1.h:2,FS");
	ck_assert_int_eq(unlinkat(box_dir, "m/cur/1.M1.h,S=2,W=3:2,S", 0), 0);
	ck_assert_uint_eq(drop_maildir.remove(&d, marked, &e), 3);
	box_close(&d);
	open_it();
	ck_assert_uint_eq(d.count, 0);
	box_close(&d);
}
END_TEST

START_TEST(what_is_gone_can_not_be_read_and_others_can)
{
	box_write("m/new/1.M1.h", "a\n");
	box_write("m/new/2.M1.h", "b\n");
	open_it();
	ck_assert_int_eq(unlinkat(box_dir, "m/new/1.M1.h", 0), 0);
	ck_assert_ptr_null(box_message(&d, 0, 100));
	ck_assert_str_eq(box_message(&d, 1, 100), "b\n");
	box_close(&d);
}
END_TEST

/* A move that was under way while the folders were listed. */
START_TEST(a_message_that_is_seen_twice_is_one)
{
	box_write("m/new/1.M1.h", "a\n");
	box_write("m/cur/1.M1.h:2,", "a\n");
	open_it();
	ck_assert_uint_eq(d.count, 1);
	ck_assert_str_eq(box_message(&d, 0, 100), "a\n");
	box_close(&d);
}
END_TEST

START_TEST(ids_are_what_POP3_allows_and_no_two_are_the_same)
{
	char longname[128], path[160];
	memset(longname, 'x', 80);
	snprintf(longname + 80, sizeof(longname) - 80, ".h");
	snprintf(path, sizeof(path), "m/new/%s", longname);
	box_write(path, "a\n");
	box_write("m/new/with blank", "b\n");
	box_write("m/new/with \xc3\xa4", "c\n");
	box_write("m/new/9.M1.h,S=1", "d\n");
	box_write("m/new/9.M1.h,S=2", "e\n");
	open_it();
	ck_assert_uint_eq(d.count, 5);
	for (size_t i = 0; i < d.count; i++) {
		char uid[MAILDROP_UIDL_MAX + 1];
		snprintf(uid, sizeof(uid), "%s", box_unique(&d, i));
		ck_assert_uint_ge(strlen(uid), 1);
		ck_assert_uint_le(strlen(uid), MAILDROP_UIDL_MAX);
		for (const char *c = uid; *c; c++)
			ck_assert(*c >= 0x21 && *c <= 0x7e);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(uid, box_unique(&d, k));
	}
	box_close(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("maildir");
	TCase *tc = tcase_create("maildir");
	tcase_add_checked_fixture(tc, setup, box_teardown);
	tcase_add_test(tc, messages_have_the_order_of_arrival_with_size_and_id);
	tcase_add_test(tc, a_mailbox_that_is_not_there_is_empty);
	tcase_add_loop_test(tc, no_path_leads_out_of_the_base, 0,
			    sizeof(outside) / sizeof(outside[0]));
	tcase_add_test(tc, what_is_no_file_of_ours_is_no_message);
	tcase_add_test(tc, a_file_that_became_a_link_can_not_be_read);
	tcase_add_test(tc, one_session_at_a_time);
	tcase_add_test(tc, a_lock_that_is_no_file_of_ours_is_trouble);
	tcase_add_test(tc, only_what_is_marked_is_removed);
	tcase_add_test(tc, a_message_that_moved_meanwhile_is_found);
	tcase_add_test(tc, what_is_gone_can_not_be_read_and_others_can);
	tcase_add_test(tc, a_message_that_is_seen_twice_is_one);
	tcase_add_test(tc, ids_are_what_POP3_allows_and_no_two_are_the_same);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
