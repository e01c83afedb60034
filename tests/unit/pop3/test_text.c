/* text: messages as they are sent, wherever they are cut. */
#include <check.h>
#include <stdlib.h>

#include "common/pop3/text.h"

static const struct {
	const char *in, *out;
} texts[] = {
    {"", ".\r\n"},
    {"a\n", "a\r\n.\r\n"},
    {"a\r\n", "a\r\n.\r\n"},
    {"a", "a\r\n.\r\n"},
    {".\n", "..\r\n.\r\n"},
    {".", "..\r\n.\r\n"},
    {"..a\nb.\n.c", "...a\r\nb.\r\n..c\r\n.\r\n"},
    {"\n\n", "\r\n\r\n.\r\n"},
    {"a\rb\n", "a\rb\r\n.\r\n"},
    {"a\r\r\n", "a\r\r\n.\r\n"},
    {"\r\n.\r\n", "\r\n..\r\n.\r\n"},
};

static const char *convert(struct pop3_text *t, const char *in, size_t piece)
{
	static char text[512];
	struct buffer b;
	size_t most = 2 * strlen(in) + POP3_TEXT_EXTRA;
	buffer_init(&b, most);
	for (struct slice rest = slice_str(in); rest.len > 0; rest = slice_from(rest, piece))
		ck_assert(pop3_text_add(t, slice_sub(rest, 0, piece), &b));
	ck_assert(pop3_text_end(t, &b));
	ck_assert(slice_copy(buffer_slice(&b), text, sizeof(text)));
	buffer_free(&b);
	return text;
}

START_TEST(S3_lines_end_in_CRLF_and_dots_are_doubled_at_their_start_alone)
{
	for (size_t piece = 1; piece <= strlen(texts[_i].in) + 1; piece++) {
		struct pop3_text t;
		pop3_text_init(&t);
		ck_assert_str_eq(convert(&t, texts[_i].in, piece), texts[_i].out);
	}
}
END_TEST

static const struct {
	const char *in;
	uint32_t lines;
	const char *out;
} tops[] = {
    {"A: b\nC: d\n\none\ntwo\n", 0, "A: b\r\nC: d\r\n\r\n.\r\n"},
    {"A: b\n\none\ntwo\n", 1, "A: b\r\n\r\none\r\n.\r\n"},
    {"A: b\r\n\r\none\r\ntwo\r\n", 1, "A: b\r\n\r\none\r\n.\r\n"},
    {"A: b\n\none\ntwo\n", 2, "A: b\r\n\r\none\r\ntwo\r\n.\r\n"},
    {"A: b\n\none\ntwo\n", 9, "A: b\r\n\r\none\r\ntwo\r\n.\r\n"},
    {"A: b\n\none", 1, "A: b\r\n\r\none\r\n.\r\n"},
    {"A: b\n", 5, "A: b\r\n.\r\n"},
    {"\n\n\n", 1, "\r\n\r\n.\r\n"},
    {"A: b\n\n.x\n", UINT32_MAX, "A: b\r\n\r\n..x\r\n.\r\n"},
};

START_TEST(TOP_sends_the_header_and_so_many_lines)
{
	for (size_t piece = 1; piece <= strlen(tops[_i].in); piece++) {
		struct pop3_text t;
		pop3_text_init_top(&t, tops[_i].lines);
		ck_assert_str_eq(convert(&t, tops[_i].in, piece), tops[_i].out);
	}
}
END_TEST

START_TEST(TOP_tells_when_nothing_more_is_needed)
{
	struct pop3_text t;
	struct buffer b;
	buffer_init(&b, 100);
	pop3_text_init_top(&t, 1);
	ck_assert(pop3_text_add(&t, SLICE("A: b\n\none"), &b) && !t.full);
	ck_assert(pop3_text_add(&t, SLICE("\ntwo"), &b) && t.full);
	buffer_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *tc = tcase_create("text");
	tcase_add_loop_test(tc, S3_lines_end_in_CRLF_and_dots_are_doubled_at_their_start_alone, 0,
			    sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tc, TOP_sends_the_header_and_so_many_lines, 0,
			    sizeof(tops) / sizeof(tops[0]));
	tcase_add_test(tc, TOP_tells_when_nothing_more_is_needed);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
