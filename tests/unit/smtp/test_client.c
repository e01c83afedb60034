/*
 * The client's side: replies, what EHLO offers, content made fit to be sent.
 */
#include <check.h>
#include <stdlib.h>

#include "common/smtp/answer.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/stuff.h"

static const struct {
	const char *input;
	enum answer_result last;
	unsigned code;
	const char *enhanced, *text;
} answers[] = {
    {"250 2.1.5 Ok\r\n", ANSWER_COMPLETE, 250, "2.1.5", "Ok"},
    {"250 Ok\r\n", ANSWER_COMPLETE, 250, "2.0.0", "Ok"},
    {"250\r\n", ANSWER_COMPLETE, 250, "2.0.0", ""},
    {"250 \n", ANSWER_COMPLETE, 250, "2.0.0", ""},
    {"550-5.1.1 a\r\n550-5.1.1  b\r\n550 5.1.1 c\r\n", ANSWER_COMPLETE, 550, "5.1.1", "a b c"},
    {"550 4.1.1 a\r\n", ANSWER_COMPLETE, 550, "5.0.0", "4.1.1 a"},
    {"550 5.1.1x a\r\n", ANSWER_COMPLETE, 550, "5.0.0", "5.1.1x a"},
    {"550 5.1234.1 a\r\n", ANSWER_COMPLETE, 550, "5.0.0", "5.1234.1 a"},
    {"550 5.7.26\r\n", ANSWER_COMPLETE, 550, "5.7.26", ""},
    {"421 a\tb\x01\xff\r\n", ANSWER_COMPLETE, 421, "4.0.0", "a b??"},
    {"250-a\r\n", ANSWER_LINE, 250, "2.0.0", "a"},
    {"250 a", ANSWER_MORE, 0, NULL, NULL},
    {"250-a\r\n251 b\r\n", ANSWER_BROKEN, 250, NULL, NULL},
    {"25\r\n", ANSWER_BROKEN, 0, NULL, NULL},
    {"\r\n", ANSWER_BROKEN, 0, NULL, NULL},
    {"199 a\r\n", ANSWER_BROKEN, 0, NULL, NULL},
    {"600 a\r\n", ANSWER_BROKEN, 0, NULL, NULL},
    {"250_a\r\n", ANSWER_BROKEN, 0, NULL, NULL},
    {"SSH-2.0-OpenSSH\r\n", ANSWER_BROKEN, 0, NULL, NULL},
};

static enum answer_result read_all(struct answer *a, struct slice input)
{
	enum answer_result r = ANSWER_MORE;
	struct slice line;
	size_t used;

	while (input.len > 0) {
		enum answer_result next = answer_read(a, input, &line, &used);
		if (next == ANSWER_MORE)
			return r == ANSWER_MORE ? next : r;
		r = next;
		if (r == ANSWER_BROKEN)
			return r;
		input = slice_from(input, used);
	}
	return r;
}

START_TEST(a_reply_is_read_line_by_line)
{
	struct answer a = {0};
	char enhanced[ANSWER_ENHANCED_MAX + 1];

	ck_assert_int_eq(read_all(&a, slice_str(answers[_i].input)), answers[_i].last);
	ck_assert_uint_eq(a.code, answers[_i].code);
	if (!answers[_i].text)
		return;
	answer_enhanced(&a, enhanced);
	ck_assert_str_eq(enhanced, answers[_i].enhanced);
	ck_assert_str_eq(a.text, answers[_i].text);
}
END_TEST

START_TEST(a_reply_without_end_is_not_read_for_ever)
{
	static char octets[ANSWER_LINE_MAX + 1];
	struct answer a = {0};
	struct slice line;
	size_t used;
	unsigned lines = 0;

	memset(octets, '2', sizeof(octets));
	ck_assert_int_eq(answer_read(&a, slice_make(octets, ANSWER_LINE_MAX - 1), &line, &used),
			 ANSWER_MORE);
	ck_assert_int_eq(answer_read(&a, slice_make(octets, sizeof(octets)), &line, &used),
			 ANSWER_BROKEN);
	while (answer_read(&a, SLICE("250-xxxxxxxxxxxxxxxxxxxx\r\n"), &line, &used) == ANSWER_LINE)
		lines++;
	ck_assert_uint_eq(lines, ANSWER_LINES_MAX);
	ck_assert_uint_eq(a.len, ANSWER_TEXT_MAX);
}
END_TEST

START_TEST(what_ehlo_offers_is_known_by_its_keyword)
{
	static const char *const lines[] = {"mx.example.org greets you",
					    "pipelining",
					    "SIZE 1000000",
					    "8BITMIME",
					    "CHUNKINGS",
					    "DSN extra",
					    "AUTH PLAIN LOGIN",
					    "",
					    "STARTTLS"};
	struct capabilities c = {0};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		capabilities_line(&c, i + 1, slice_str(lines[i]));
	ck_assert_str_eq(c.name, "mx.example.org");
	ck_assert_uint_eq(c.offered, OFFERS_PIPELINING | OFFERS_SIZE | OFFERS_8BITMIME |
					 OFFERS_DSN | OFFERS_STARTTLS);
	ck_assert_uint_eq(c.size_limit, 1000000);
	capabilities_line(&c, 10, SLICE("SIZE 18446744073709551616"));
	ck_assert_uint_eq(c.size_limit, 0);
}
END_TEST

#define X100                                                                                       \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxx"
#define X998                                                           \
	X100 X100 X100 X100 X100 X100 X100 X100 X100                   \
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *content, *data, *bdat;
} contents[] = {
    {"a\r\n", "a\r\n.\r\n", "a\r\n"},
    {"", ".\r\n", ""},
    {"a", "a\r\n.\r\n", "a\r\n"},
    {"a\r", "a\r\n.\r\n", "a\r\n"},
    {".\r\n", "..\r\n.\r\n", ".\r\n"},
    {"..a\r\n.b\r\n", "...a\r\n..b\r\n.\r\n", "..a\r\n.b\r\n"},
    {"a.\r\n", "a.\r\n.\r\n", "a.\r\n"},
    {"a\n.\nb\r.\r\n", "a\r\n..\r\nb\r\n..\r\n.\r\n", "a\r\n.\r\nb\r\n.\r\n"},
    {"\r\r\n\n", "\r\n\r\n\r\n.\r\n", "\r\n\r\n\r\n"},
    {X998 "\r\n", X998 "\r\n.\r\n", X998 "\r\n"},
    {X998 ".y\r\n", X998 "\r\n .y\r\n.\r\n", X998 "\r\n .y\r\n"},
    {X998 X998 "\r\n",
     X998 "\r\n " X100 X100 X100 X100 X100 X100 X100 X100 X100
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n x\r\n.\r\n",
     NULL},
};

/* Cut at every place, it gives the same. */
START_TEST(content_is_made_fit_to_be_sent)
{
	struct slice whole = slice_str(contents[_i].content);
	struct stuffer s;
	struct buffer out;

	buffer_init(&out, 10000);
	for (int dots = 0; dots < 2; dots++) {
		const char *expected = dots ? contents[_i].data : contents[_i].bdat;
		for (size_t cut = 0; expected && cut <= whole.len; cut++) {
			buffer_reset(&out);
			stuffer_init(&s, dots);
			ck_assert(stuffer_add(&s, slice_sub(whole, 0, cut), &out));
			ck_assert(stuffer_add(&s, slice_from(whole, cut), &out));
			ck_assert(stuffer_end(&s, &out));
			ck_assert(slice_equal(buffer_slice(&out), slice_str(expected)));
		}
	}
	buffer_free(&out);
}
END_TEST

START_TEST(long_lines_can_stay_whole)
{
	struct stuffer s;
	struct buffer out;

	buffer_init(&out, 10000);
	stuffer_init(&s, true);
	s.whole = true;
	ck_assert(stuffer_add(&s, SLICE("." X998), &out));
	ck_assert(stuffer_add(&s, SLICE(X998 "\r\n"), &out));
	ck_assert(stuffer_end(&s, &out));
	ck_assert(slice_equal(buffer_slice(&out), SLICE(".." X998 X998 "\r\n.\r\n")));
	buffer_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("client");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, a_reply_is_read_line_by_line, 0,
			    sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(t, a_reply_without_end_is_not_read_for_ever);
	tcase_add_test(t, what_ehlo_offers_is_known_by_its_keyword);
	tcase_add_loop_test(t, content_is_made_fit_to_be_sent, 0,
			    sizeof(contents) / sizeof(contents[0]));
	tcase_add_test(t, long_lines_can_stay_whole);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
