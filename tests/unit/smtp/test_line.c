/* line: CRLF ends a command line and nothing else does. */
#include <check.h>

#include "common/smtp/line.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* What is told about text, as letters: [line], L: bare LF, C: bare CR, T: too long. */
static void read_all(struct slice text, size_t limit, size_t step, char *told, size_t size)
{
	struct line_reader r;
	struct slice line;
	size_t taken = 0, there = 0, at = 0, used;

	line_reader_init(&r, limit);
	do {
		there = there + step < text.len ? there + step : text.len;
		enum line_result result;
		do {
			struct slice input = slice_sub(text, taken, there - taken);
			result = line_next(&r, input, &line, &used);
			/* Check's assertions are slow even when they hold */
			if (used > input.len || at + line.len + 3 >= size)
				ck_abort_msg("took too much");
			taken += used;
			if (result == LINE_COMPLETE) {
				told[at++] = '[';
				memcpy(told + at, line.ptr, line.len);
				at += line.len;
				told[at++] = ']';
			} else if (result != LINE_MORE) {
				told[at++] = "..TLC"[result];
			}
		} while (result != LINE_MORE);
		if (there - taken >= limit)
			ck_abort_msg("holds back more than a line");
	} while (there < text.len);
	told[at] = '\0';
}

START_TEST(finds_lines_whatever_the_pieces)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
	    {"EHLO a\r\nMAIL\r\n", "[EHLO a][MAIL]"},
	    {"\r\n\r\n", "[][]"},
	    {"QUIT", ""},
	    {"QUIT\r", ""},
	    /* one reply a line, and in step again at the next CRLF */
	    {"A\nB\r\nC\r\n", "L[C]"},
	    {"A\n\r\nC\r\n", "L[C]"},
	    {"\nQUIT\n\r\nC\r\n", "L[C]"},
	    {"A\rB\r\nC\r\n", "C[C]"},
	    {"A\r\r\nC\r\n", "C[C]"},
	    {"A\rB\nD\r\rE\r\nC\r\n", "C[C]"},
	    {"RCPT\nDATA\r\n\nX\r\nC\r\n", "LL[C]"},
	    /* S16: consumed to its end, one 500, in step */
	    {"1234567890abcdefghijkl\r\nC\r\n", "T[C]"},
	    {"1234567890abcdefghijkl\nC\r\nD\r\n", "T[D]"},
	    {"12345678901234\r\nC\r\n", "[12345678901234][C]"},
	    {"123456789012345\r\nC\r\n", "T[C]"},
	    {"1234567890123456\r\nC\r\n", "T[C]"},
	    {"12345678901234567\r\nC\r\n", "T[C]"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t step = 1; step <= 30; step++) {
			char told[100];
			read_all(slice_str(cases[i].text), 16, step, told, sizeof(told));
			ck_assert_str_eq(told, cases[i].told);
		}
	}
}
END_TEST

/* A login that ends while a line of it is under way makes the limit smaller. */
START_TEST(a_line_that_is_over_a_new_limit_is_too_long)
{
	struct slice text = SLICE("0123456789\r\nC\r\n"), line;
	struct line_reader r;
	size_t used;
	line_reader_init(&r, 16);
	ck_assert_int_eq(line_next(&r, slice_sub(text, 0, 8), &line, &used), LINE_MORE);
	r.limit = 4;
	ck_assert_int_eq(line_next(&r, slice_sub(text, 0, 9), &line, &used), LINE_TOO_LONG);
	text = slice_from(text, used);
	ck_assert_int_eq(line_next(&r, text, &line, &used), LINE_COMPLETE);
	ck_assert(slice_equal(line, SLICE("C")));
}
END_TEST

START_TEST(is_the_same_for_every_mixture_in_every_cut)
{
	static const char alphabet[] = {'\r', '\n', 'a', 'b'};
	for (size_t n = 0; n < 1 << 16; n++) {
		char text[16], whole[100], pieces[100];
		for (size_t i = 0; i < 8; i++)
			text[i] = alphabet[n >> (2 * i) & 3];
		memcpy(text + 8, "\r\nQUIT\r\n", 8);
		read_all(slice_make(text, 16), 8, 16, whole, sizeof(whole));
		for (size_t step = 1; step < 8; step += 2) {
			read_all(slice_make(text, 16), 8, step, pieces, sizeof(pieces));
			if (strcmp(pieces, whole) != 0)
				ck_abort_msg("mixture %zu: %s, %s", n, pieces, whole);
		}
		if (!slice_ends_fold(slice_str(whole), SLICE("[QUIT]")))
			ck_abort_msg("mixture %zu: out of step", n);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("line");
	TCase *c = tcase_create("line");
	tcase_add_test(c, finds_lines_whatever_the_pieces);
	tcase_add_test(c, a_line_that_is_over_a_new_limit_is_too_long);
	tcase_add_test(c, is_the_same_for_every_mixture_in_every_cut);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
