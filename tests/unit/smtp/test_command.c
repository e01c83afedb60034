/* command, path, parameters: what clients say, and what they are told about it. */
#include <check.h>

#include "common/smtp/command.h"
#include "common/smtp/parameters.h"
#include "common/smtp/path.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

START_TEST(knows_the_verbs)
{
	static const struct {
		const char *line;
		enum verb verb;
		const char *argument;
	} cases[] = {
	    {"HELO a", VERB_HELO, "a"},
	    {"ehlo  a b ", VERB_EHLO, "a b"},
	    {"MaIl FROM:<>", VERB_MAIL, "FROM:<>"},
	    {"RCPT\tTO:<a@b>\t", VERB_RCPT, "TO:<a@b>"},
	    {"DATA", VERB_DATA, ""},
	    {"RSET ", VERB_RSET, ""},
	    {"NOOP x", VERB_NOOP, "x"},
	    {"VRFY bob", VERB_VRFY, "bob"},
	    {"HELP", VERB_HELP, ""},
	    {"QUIT", VERB_QUIT, ""},
	    {"EXPN list", VERB_UNKNOWN, "list"}, /* S18 */
	    {"starttls", VERB_STARTTLS, ""},
	    {"AUTH PLAIN =", VERB_AUTH, "PLAIN ="},
	    {"unknown", VERB_UNKNOWN, ""},
	    {" QUIT", VERB_UNKNOWN, "QUIT"},
	    {"QUITX", VERB_UNKNOWN, ""},
	    {"", VERB_UNKNOWN, ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct command c;
		ck_assert(command_parse(slice_str(cases[i].line), &c, NULL));
		ck_assert_int_eq(c.verb, cases[i].verb);
		ck_assert(slice_equal(c.argument, slice_str(cases[i].argument)));
	}
	ck_assert_str_eq(verb_name(VERB_MAIL), "MAIL");
}
END_TEST

START_TEST(refuses_nul_in_a_command)
{
	struct command c;
	struct refusal why;
	ck_assert(!command_parse(SLICE("NOOP \0"), &c, &why));
	ck_assert_uint_eq(why.code, 500);
}
END_TEST

/* Parses and compares; code 0: fine. */
static void path_is(bool mail, const char *argument, unsigned code, const char *want,
		    const char *rest)
{
	struct address a;
	struct slice parameters;
	struct refusal why = {0};
	char text[ADDRESS_SIZE];
	bool fine = (mail ? path_parse_mail : path_parse_rcpt)(slice_str(argument), 0, &a,
							       &parameters, &why);
	ck_assert_msg(fine == (code == 0), "%s: %u", argument, why.code);
	if (!fine) {
		ck_assert_uint_eq(why.code, code);
		ck_assert_str_eq(why.enhanced, want);
		ck_assert_ptr_nonnull(why.text);
		ck_assert(address_is_null(&a));
		return;
	}
	(void)address_text(&a, text);
	ck_assert_str_eq(text, want);
	ck_assert(slice_equal(parameters, slice_str(rest)));
}

START_TEST(reads_the_path_of_mail)
{
	path_is(true, "FROM:<bob@x.y>", 0, "bob@x.y", "");
	path_is(true, "from: <bob@x.y>  SIZE=1  BODY=7BIT", 0, "bob@x.y", "SIZE=1  BODY=7BIT");
	path_is(true, "FROM:<\"b> ob\"@x.y> A", 0, "\"b> ob\"@x.y", "A");
	/* S19: the empty reverse-path */
	path_is(true, "FROM:<>", 0, "", "");
	path_is(true, "FROM:<> BODY=8BITMIME", 0, "", "BODY=8BITMIME");
	path_is(true, "FROM:<@a,@b:c@d>", 0, "c@d", "");
	path_is(true, "FROM:<>x", 501, "5.5.4", "");
	path_is(true, "FROM:<bob@x.y>SIZE=1", 501, "5.5.4", "");
	path_is(true, "FROM:bob@x.y", 501, "5.5.4", "");
	path_is(true, "FROM:", 501, "5.5.4", "");
	path_is(true, "FROM :<a@b>", 501, "5.5.4", "");
	path_is(true, "TO:<a@b>", 501, "5.5.4", "");
	path_is(true, "", 501, "5.5.4", "");
	path_is(true, "FROM:<a@b", 501, "5.5.4", "");
	path_is(true, "FROM:<\"a@b>", 501, "5.5.4", "");
	path_is(true, "FROM:< >", 501, "5.1.7", "");
	path_is(true, "FROM:<a>", 501, "5.1.7", "");
	path_is(true, "FROM:<a@[1.2.3]>", 501, "5.1.7", "");
	path_is(true, "FROM:<\xc3\xb6@x.y>", 550, "5.6.7", "");
}
END_TEST

START_TEST(reads_the_path_of_rcpt)
{
	path_is(false, "TO:<bob@x.y>", 0, "bob@x.y", "");
	path_is(false, "To:  <bob@x.y> X=1", 0, "bob@x.y", "X=1");
	/* S19 */
	path_is(false, "TO:<postmaster>", 0, "postmaster", "");
	path_is(false, "TO:<Postmaster>", 0, "Postmaster", "");
	path_is(false, "TO:<@a:bob@x.y>", 0, "bob@x.y", "");
	path_is(false, "TO:<>", 501, "5.1.3", "");
	path_is(false, "TO:<bob>", 501, "5.1.3", "");
	path_is(false, "TO:<bob@x\xc3\xbc.y>", 553, "5.6.7", "");
	path_is(false, "FROM:<bob@x.y>", 501, "5.5.4", "");
}
END_TEST

START_TEST(holds_the_length_of_a_path)
{
	/* RFC 5321 4.5.3.1.3: 256 octets with the brackets */
	char argument[400] = "TO:<";
	struct address a;
	struct slice parameters;
	struct refusal why;
	memset(argument + 4, 'a', 300);
	memcpy(argument + 4 + 250, "@x.y>", 5);
	ck_assert(path_parse_rcpt(slice_make(argument, 4 + 255), 0, &a, &parameters, &why));
	memcpy(argument + 4 + 250, "a@x.y>", 6);
	ck_assert(!path_parse_rcpt(slice_make(argument, 4 + 256), 0, &a, &parameters, &why));
	ck_assert_uint_eq(why.code, 501);
}
END_TEST

static void mail_parameters_are(struct slice text, unsigned code,
				const struct mail_parameters *want)
{
	struct mail_parameters m;
	struct refusal why = {0};
	bool fine = parameters_parse_mail(text, &m, &why);
	ck_assert_msg(why.code == code, "%.*s: %u", SLICE_FMT(text), why.code);
	ck_assert_int_eq(fine, code == 0);
	if (!fine) {
		ck_assert_str_eq(why.enhanced, "5.5.4");
		return;
	}
	ck_assert_int_eq(m.has_size, want->has_size);
	ck_assert_uint_eq(m.size, want->size);
	ck_assert_int_eq(m.body, want->body);
	ck_assert_int_eq(m.utf8, want->utf8);
	ck_assert_int_eq(m.ret, want->ret);
	ck_assert_int_eq(m.auth, want->auth);
	ck_assert_msg(slice_equal(m.envid, want->envid), "%.*s", SLICE_FMT(text));
}

START_TEST(reads_the_parameters_of_mail)
{
	static const struct {
		const char *text;
		unsigned code;
		struct mail_parameters want;
	} cases[] = {
	    {"", 0, {0}},
	    {"SIZE=123", 0, {.has_size = true, .size = 123}},
	    {"size=0 body=8bitmime", 0, {.has_size = true, .body = MAIL_BODY_8BITMIME}},
	    {"BODY=7BIT  SIZE=18446744073709551615",
	     0,
	     {.has_size = true, .size = UINT64_MAX, .body = MAIL_BODY_7BIT}},
	    {"SIZE=99999999999999999999", 0, {.has_size = true, .size = UINT64_MAX}},
	    {"SIZE=100000000000000000000", 501, {0}},
	    {"SIZE=-1", 501, {0}},
	    {"SIZE=", 501, {0}},
	    {"SIZE", 501, {0}},
	    {"SIZE=1x", 501, {0}},
	    {"BODY=BINARYMIME", 501, {0}},
	    {"BODY", 501, {0}},
	    {"SMTPUTF8", 0, {.utf8 = true}},
	    {"smtputf8 Body=8BITMIME", 0, {.utf8 = true, .body = MAIL_BODY_8BITMIME}},
	    {"SMTPUTF8=yes", 501, {0}},
	    {"RET=HDRS", 0, {.ret = MAIL_RET_HDRS}},
	    {"ret=full ENVID=Q+2BQ", 0, {.ret = MAIL_RET_FULL, .envid = {"Q+2BQ", 5}}},
	    {"RET=", 501, {0}},
	    {"RET", 501, {0}},
	    {"RET=BOTH", 501, {0}},
	    {"ENVID", 501, {0}},
	    {"ENVID=", 501, {0}},
	    /* S21: what it stands for is printable */
	    {"ENVID=a+20b+7E", 0, {.envid = {"a+20b+7E", 8}}},
	    {"ENVID=+00", 501, {0}},
	    {"ENVID=+0A", 501, {0}},
	    {"ENVID=+7F", 501, {0}},
	    {"ENVID=+80", 501, {0}},
	    {"ENVID=+2b", 501, {0}},
	    {"ENVID=+", 501, {0}},
	    {"ENVID=+4", 501, {0}},
	    {"ENVID=+4G", 501, {0}},
	    {"ENVID=a=b", 501, {0}},
	    /* S13: unknown 555, duplicate 501 */
	    {"FOO", 555, {0}},
	    {"SIZE=1 FOO=bar", 555, {0}},
	    {"AUTH=<>", 0, {.auth = true}},
	    {"AUTH=e+3Dmc2@example.com", 0, {.auth = true}},
	    {"AUTH=<> AUTH=<>", 501, {0}},
	    {"AUTH", 501, {0}},
	    {"NOTIFY=NEVER", 555, {0}},
	    {"SIZE=1 SIZE=1", 501, {0}},
	    {"BODY=7BIT body=8BITMIME", 501, {0}},
	    {"SMTPUTF8 SMTPUTF8", 501, {0}},
	    {"RET=FULL RET=FULL", 501, {0}},
	    {"ENVID=a envid=a", 501, {0}},
	    {"=x", 501, {0}},
	    {"-A=x", 501, {0}},
	    {"A_B=x", 501, {0}},
	    {"A=b=c", 501, {0}},
	    {"A=\x7f", 501, {0}},
	    {"A=\xc3\xb6", 501, {0}},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		mail_parameters_are(slice_str(cases[i].text), cases[i].code, &cases[i].want);
}
END_TEST

START_TEST(S21_an_envid_has_at_most_100_octets)
{
	char text[200] = "ENVID=";
	struct mail_parameters want = {.envid = slice_make(text + 6, PARAMETER_ENVID_MAX)};
	memset(text + 6, 'x', PARAMETER_ENVID_MAX + 1);
	mail_parameters_are(slice_make(text, 6 + PARAMETER_ENVID_MAX), 0, &want);
	mail_parameters_are(slice_make(text, 6 + PARAMETER_ENVID_MAX + 1), 501, &want);
}
END_TEST

static void rcpt_parameters_are(struct slice text, unsigned code, unsigned notify,
				struct slice orcpt)
{
	struct rcpt_parameters r;
	struct refusal why = {0};
	bool fine = parameters_parse_rcpt(text, &r, &why);
	ck_assert_msg(why.code == code, "%.*s: %u", SLICE_FMT(text), why.code);
	ck_assert_int_eq(fine, code == 0);
	if (!fine) {
		ck_assert_str_eq(why.enhanced, "5.5.4");
		return;
	}
	ck_assert_uint_eq(r.notify, notify);
	ck_assert_msg(slice_equal(r.orcpt, orcpt), "%.*s", SLICE_FMT(text));
}

START_TEST(reads_the_parameters_of_rcpt)
{
	static const struct {
		const char *text;
		unsigned code, notify;
		const char *orcpt;
	} cases[] = {
	    /* S22: what is not said stays so */
	    {"", 0, 0, ""},
	    {" ", 0, 0, ""},
	    {"NOTIFY=NEVER", 0, RCPT_NOTIFY_NEVER, ""},
	    {"notify=success,Failure,DELAY", 0,
	     RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY, ""},
	    {"NOTIFY=DELAY,DELAY", 0, RCPT_NOTIFY_DELAY, ""},
	    {"ORCPT=rfc822;bob+2Bx@y.z NOTIFY=FAILURE", 0, RCPT_NOTIFY_FAILURE,
	     "rfc822;bob+2Bx@y.z"},
	    {"ORCPT=utf-8;b\\x{F6}b@y.z", 0, 0, "utf-8;b\\x{F6}b@y.z"},
	    {"ORCPT=x400;a;b", 0, 0, "x400;a;b"},
	    /* S21 */
	    {"NOTIFY=NEVER,SUCCESS", 501, 0, ""},
	    {"NOTIFY=SUCCESS,NEVER", 501, 0, ""},
	    {"NOTIFY=NEVER,NEVER", 501, 0, ""},
	    {"NOTIFY=SUCCESS,", 501, 0, ""},
	    {"NOTIFY=,SUCCESS", 501, 0, ""},
	    {"NOTIFY=ALWAYS", 501, 0, ""},
	    {"NOTIFY=", 501, 0, ""},
	    {"NOTIFY", 501, 0, ""},
	    {"NOTIFY=DELAY NOTIFY=DELAY", 501, 0, ""},
	    {"ORCPT=rfc822;a ORCPT=rfc822;a", 501, 0, ""},
	    {"ORCPT=a@b", 501, 0, ""},
	    {"ORCPT=;a@b", 501, 0, ""},
	    {"ORCPT=rfc822;", 501, 0, ""},
	    {"ORCPT=rfc822;a+", 501, 0, ""},
	    {"ORCPT=rfc822;a+00", 501, 0, ""},
	    {"ORCPT=rf(c;a", 501, 0, ""},
	    {"ORCPT=utf-8;\xc3\xb6@y.z", 501, 0, ""},
	    {"ORCPT", 501, 0, ""},
	    {"=NEVER", 501, 0, ""},
	    {"SIZE=1", 555, 0, ""},
	    {"FOO", 555, 0, ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		rcpt_parameters_are(slice_str(cases[i].text), cases[i].code, cases[i].notify,
				    slice_str(cases[i].orcpt));
}
END_TEST

START_TEST(S21_an_orcpt_has_at_most_500_octets)
{
	char text[600] = "ORCPT=rfc822;";
	memset(text + 13, 'x', 500);
	rcpt_parameters_are(slice_make(text, 6 + PARAMETER_ORCPT_MAX), 0, 0,
			    slice_make(text + 6, PARAMETER_ORCPT_MAX));
	rcpt_parameters_are(slice_make(text, 6 + PARAMETER_ORCPT_MAX + 1), 501, 0, SLICE_EMPTY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("command");
	TCase *c = tcase_create("command");
	tcase_add_test(c, knows_the_verbs);
	tcase_add_test(c, refuses_nul_in_a_command);
	tcase_add_test(c, reads_the_path_of_mail);
	tcase_add_test(c, reads_the_path_of_rcpt);
	tcase_add_test(c, holds_the_length_of_a_path);
	tcase_add_test(c, reads_the_parameters_of_mail);
	tcase_add_test(c, S21_an_envid_has_at_most_100_octets);
	tcase_add_test(c, reads_the_parameters_of_rcpt);
	tcase_add_test(c, S21_an_orcpt_has_at_most_500_octets);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
