/* command: each verb with its arguments, and what is refused. */
#include <check.h>
#include <stdlib.h>

#include "common/pop3/command.h"

static const struct {
	const char *line;
	enum pop3_verb verb;
	bool fine;
	const char *text;
	bool numbered;
	uint32_t number, lines;
} lines[] = {
    {"CAPA", POP3_CAPA, true, "", false, 0, 0},
    {"capa ", POP3_CAPA, true, "", false, 0, 0},
    {"CAPA x", POP3_CAPA, false, "", false, 0, 0},
    {"USER bob@example.org", POP3_USER, true, "bob@example.org", false, 0, 0},
    {"USER", POP3_USER, false, "", false, 0, 0},
    {"USER ", POP3_USER, false, "", false, 0, 0},
    {"pass two words ", POP3_PASS, true, "two words ", false, 0, 0},
    {"PASS  x", POP3_PASS, true, " x", false, 0, 0},
    {"AUTH", POP3_AUTH, true, "", false, 0, 0},
    {"AUTH PLAIN =", POP3_AUTH, true, "PLAIN =", false, 0, 0},
    {"LIST", POP3_LIST, true, "", false, 0, 0},
    {"LIST 7", POP3_LIST, true, "", true, 7, 0},
    {"LIST -1", POP3_LIST, false, "", false, 0, 0},
    {"UIDL 4294967296", POP3_UIDL, true, "", true, UINT32_MAX, 0},
    {"RETR 99999999999999999999999", POP3_RETR, true, "", true, UINT32_MAX, 0},
    {"RETR", POP3_RETR, false, "", false, 0, 0},
    {"RETR x", POP3_RETR, false, "", false, 0, 0},
    {"RETR 1 2", POP3_RETR, false, "", true, 1, 0},
    {"TOP 1 0", POP3_TOP, true, "", true, 1, 0},
    {"TOP  3  10 ", POP3_TOP, true, "", true, 3, 10},
    {"TOP 1", POP3_TOP, false, "", true, 1, 0},
    {"DELE 2", POP3_DELE, true, "", true, 2, 0},
    {"QUIT now", POP3_QUIT, false, "", false, 0, 0},
    {"EHLO x", POP3_UNKNOWN, true, "x", false, 0, 0},
    {"", POP3_UNKNOWN, true, "", false, 0, 0},
    {" QUIT", POP3_UNKNOWN, true, "QUIT", false, 0, 0},
    {"QUITE", POP3_UNKNOWN, true, "", false, 0, 0},
};

START_TEST(a_line_has_a_verb_and_what_belongs_to_it)
{
	struct pop3_command c;
	const char *why = NULL;
	ck_assert_int_eq(pop3_command_parse(slice_str(lines[_i].line), &c, &why), lines[_i].fine);
	ck_assert_int_eq(c.verb, lines[_i].verb);
	ck_assert(lines[_i].fine || why != NULL);
	if (!lines[_i].fine)
		return;
	ck_assert(slice_equal(c.text, slice_str(lines[_i].text)));
	ck_assert_int_eq(c.numbered, lines[_i].numbered);
	ck_assert_uint_eq(c.number, lines[_i].number);
	ck_assert_uint_eq(c.lines, lines[_i].lines);
}
END_TEST

START_TEST(a_NUL_is_refused_wherever_it_is)
{
	struct pop3_command c;
	const char *why = NULL;
	ck_assert(!pop3_command_parse(SLICE("USER a\0b"), &c, &why));
	ck_assert(!pop3_command_parse(SLICE("NOOP\0"), &c, &why));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("command");
	TCase *tc = tcase_create("command");
	tcase_add_loop_test(tc, a_line_has_a_verb_and_what_belongs_to_it, 0,
			    sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(tc, a_NUL_is_refused_wherever_it_is);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
