/*
 * dovecot_text: lines of Dovecot's authentication protocol, as Dovecot 2.3.19 says them.
 */
#include <check.h>
#include <stdlib.h>

#include "daemons/accounts/dovecot_text.h"

START_TEST(lines_are_read)
{
	static const struct {
		const char *line;
		enum dovecot_word word;
		uint32_t id;
	} cases[] = {
	    {"VERSION\t1\t2", DOVECOT_VERSION, 0},
	    {"VERSION\t2\t0", DOVECOT_BROKEN, 0},
	    {"VERSION", DOVECOT_BROKEN, 0},
	    {"MECH\tPLAIN\tplaintext", DOVECOT_PLAIN, 0},
	    {"MECH\tLOGIN\tplaintext", DOVECOT_OTHER, 0},
	    {"SPID\t71", DOVECOT_OTHER, 0},
	    {"CUID\t1", DOVECOT_OTHER, 0},
	    {"COOKIE\t6f2ddbf2d2a5cd9b8b2c5ca1d3d0a6c6", DOVECOT_OTHER, 0},
	    {"DONE", DOVECOT_DONE, 0},
	    {"OK\t7\tuser=alice@example.org\t", DOVECOT_OK, 7},
	    {"FAIL\t8\tuser=alice@example.org", DOVECOT_REFUSED, 8},
	    {"FAIL\t9\tuser=alice\ttemp", DOVECOT_LATER, 9},
	    {"FAIL\t9\tuser=alice\tcode=temp_fail", DOVECOT_LATER, 9},
	    {"FAIL\t9\tuser=temp\treason=temp", DOVECOT_REFUSED, 9},
	    {"CONT\t10\t", DOVECOT_LATER, 10},
	    {"OK\t4294967296", DOVECOT_BROKEN, 0},
	    {"OK\t-1", DOVECOT_BROKEN, 0},
	    {"OK", DOVECOT_BROKEN, 0},
	    {"", DOVECOT_OTHER, 0},
	    {"WHATEVER\tcomes", DOVECOT_OTHER, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id;

		ck_assert_msg(dovecot_read(slice_str(cases[i].line), &id) == cases[i].word, "%s",
			      cases[i].line);
		ck_assert_uint_eq(id, cases[i].id);
	}
}
END_TEST

START_TEST(a_question_is_one_line_with_the_response_last)
{
	struct dovecot_question q = {.id = 3,
				     .service = "smtp",
				     .client = "192.0.2.1",
				     .user = SLICE("a@b"),
				     .password = SLICE("x\ty\nz")};
	struct buffer out;

	buffer_init(&out, 8192);
	ck_assert(dovecot_write_question(&out, &q));
	ck_assert(
	    slice_equal(buffer_slice(&out), SLICE("AUTH\t3\tPLAIN\tservice=smtp\tsecured\tnologin\t"
						  "rip=192.0.2.1\tresp=AGFAYgB4CXkKeg==\n")));
	buffer_reset(&out);
	q.client = "";
	q.test = true;
	ck_assert(dovecot_write_question(&out, &q));
	ck_assert(
	    slice_equal(buffer_slice(&out), SLICE("AUTH\t3\tPLAIN\tservice=smtp\tsecured\tnologin\t"
						  "no-penalty\tresp=AGFAYgB4CXkKeg==\n")));
	buffer_free(&out);
}
END_TEST

START_TEST(what_does_not_fit_leaves_nothing)
{
	char password[1024];
	struct dovecot_question q = {.id = 3,
				     .service = "smtp",
				     .client = "",
				     .user = SLICE("a@b"),
				     .password = slice_make(password, sizeof(password))};
	struct buffer out;

	memset(password, 'x', sizeof(password));
	buffer_init(&out, 1000);
	ck_assert(buffer_append(&out, SLICE("before")));
	ck_assert(!dovecot_write_question(&out, &q));
	ck_assert(slice_equal(buffer_slice(&out), SLICE("before")));
	buffer_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dovecot_text");
	TCase *t = tcase_create("dovecot_text");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, lines_are_read);
	tcase_add_test(t, a_question_is_one_line_with_the_response_last);
	tcase_add_test(t, what_does_not_fit_leaves_nothing);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
