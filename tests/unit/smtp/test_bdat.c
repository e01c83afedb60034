/*
 * bdat: chunks of every size, cut in every way, against the content that they are made of.
 */
#include <check.h>
#include <stdlib.h>

#include "common/smtp/bdat.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { CONTENT_MAX = 2048 };

/* Receives content in chunks of `chunk` octets, each of which arrives in pieces of `step`. */
static void receive(struct slice content, size_t chunk, size_t step, struct bdat_reader *b)
{
	static char got[CONTENT_MAX];
	size_t len = 0;

	*b = (struct bdat_reader){0};
	for (size_t at = 0; at < content.len; at += chunk) {
		struct slice rest = slice_sub(content, at, chunk);
		bdat_chunk(b, rest.len);
		while (rest.len > 0) {
			/* of its exact size, so that a look behind its end is seen; and octets that
			 * follow the chunk */
			size_t n = step < rest.len ? step : rest.len, more = step - n;
			char *piece = malloc(n + more);
			struct slice input = slice_make(piece, n + more), run;
			memcpy(piece, rest.ptr, n);
			memset(piece + n, '\n', more);
			while (bdat_next(b, &input, &run)) {
				memcpy(got + len, run.ptr, run.len);
				len += run.len;
			}
			ck_assert_uint_eq(input.len, more);
			rest = slice_from(rest, n);
			free(piece);
		}
		ck_assert_uint_eq(b->left, 0);
	}
	bdat_finish(b);
	ck_assert_uint_eq(b->octets, content.len);
	ck_assert(slice_equal(slice_make(got, len), content));
}

static void flags_are(struct slice content, struct content_flags want)
{
	struct bdat_reader b;

	for (size_t chunk = 1; chunk <= content.len; chunk++)
		for (size_t step = 1; step <= chunk + 1; step += step < 5 ? 1 : chunk) {
			receive(content, chunk, step, &b);
			ck_assert_msg(content_flags_pack(&b.flags) == content_flags_pack(&want),
				      "%.*s in %zu by %zu: %x", SLICE_FMT(content), chunk, step,
				      content_flags_pack(&b.flags));
		}
}

START_TEST(S4_lines_and_their_ends_span_chunks)
{
	flags_are(SLICE("a\r\nb\r\n"), (struct content_flags){0});
	flags_are(SLICE("\r\n\r\n"), (struct content_flags){0});
	flags_are(SLICE("a\nb\r\n"), (struct content_flags){.bare_lf = true});
	flags_are(SLICE("\n"), (struct content_flags){.bare_lf = true, .no_final_crlf = true});
	flags_are(SLICE("a\rb\r\n"), (struct content_flags){.bare_cr = true});
	flags_are(SLICE("a\r\r\n"), (struct content_flags){.bare_cr = true});
	flags_are(SLICE("\xff\r\n"), (struct content_flags){.eight_bit = true});
	flags_are(slice_make("\0\r\n", 3), (struct content_flags){.nul = true});
}
END_TEST

START_TEST(S4_the_last_chunk_may_lack_its_line_end)
{
	flags_are(SLICE("a\r\nb"), (struct content_flags){.no_final_crlf = true});
	flags_are(SLICE("a\r"), (struct content_flags){.no_final_crlf = true, .bare_cr = true});
	flags_are(SLICE("a\n"), (struct content_flags){.no_final_crlf = true, .bare_lf = true});
}
END_TEST

START_TEST(S4_dots_are_content)
{
	flags_are(SLICE("a.\r\nb.c\r\n"), (struct content_flags){0});
	flags_are(SLICE(".\r\n"), (struct content_flags){.needs_stuffing = true});
	flags_are(SLICE("a\r\n.\r\n"), (struct content_flags){.needs_stuffing = true});
	flags_are(SLICE("a\r\n."),
		  (struct content_flags){.needs_stuffing = true, .no_final_crlf = true});
	flags_are(SLICE("a\n.\r\n"), (struct content_flags){.bare_lf = true});
}
END_TEST

START_TEST(long_lines_are_seen)
{
	static char line[CONTENT_LINE_MAX + 3];
	struct bdat_reader b;
	size_t chunks[] = {1, 7, 999, 1000, 1001};

	memset(line, 'x', sizeof(line));
	for (size_t i = 0; i < COUNT(chunks); i++) {
		memcpy(line + CONTENT_LINE_MAX, "\r\n", 2);
		receive(slice_make(line, CONTENT_LINE_MAX + 2), chunks[i], 3, &b);
		ck_assert(!b.flags.long_line);
		memcpy(line + CONTENT_LINE_MAX, "x\r\n", 3);
		receive(slice_make(line, CONTENT_LINE_MAX + 3), chunks[i], 3, &b);
		ck_assert(b.flags.long_line);
		receive(slice_make(line, CONTENT_LINE_MAX + 1), chunks[i], 3, &b);
		ck_assert(b.flags.long_line && b.flags.no_final_crlf);
		receive(slice_make(line, CONTENT_LINE_MAX), chunks[i], 3, &b);
		ck_assert(!b.flags.long_line);
	}
}
END_TEST

START_TEST(no_content_at_all_is_nothing_special)
{
	struct bdat_reader b = {0};
	struct slice input = SLICE("NOOP\r\n"), run;

	bdat_chunk(&b, 0);
	ck_assert(!bdat_next(&b, &input, &run));
	ck_assert_uint_eq(input.len, 6);
	bdat_finish(&b);
	ck_assert_uint_eq(content_flags_pack(&b.flags), 0);
}
END_TEST

START_TEST(S5_the_octets_of_a_refused_chunk_are_skipped)
{
	struct bdat_reader b = {0};
	struct slice input = SLICE("one"), run;

	bdat_chunk(&b, 5);
	bdat_skip(&b, &input);
	ck_assert_uint_eq(input.len, 0);
	ck_assert_uint_eq(b.left, 2);
	input = SLICE("\r\nNOOP\r\n");
	bdat_skip(&b, &input);
	ck_assert(slice_equal(input, SLICE("NOOP\r\n")));
	ck_assert(!bdat_next(&b, &input, &run));
	ck_assert_uint_eq(b.octets, 0);
}
END_TEST

START_TEST(S5_what_announces_no_size_is_521)
{
	static const struct {
		const char *argument;
		bool fine, last;
		uint64_t size;
	} cases[] = {
	    {"0", true, false, 0},
	    {"0 LAST", true, true, 0},
	    {"1000", true, false, 1000},
	    {"0086 last", true, true, 86},
	    {"10  Last", true, true, 10},
	    {"18446744073709551615 LAST", true, true, UINT64_MAX},
	    {"18446744073709551616", false, false, 0},
	    {"", false, false, 0},
	    {"LAST", false, false, 0},
	    {"-1", false, false, 0},
	    {"+1", false, false, 0},
	    {"0x10", false, false, 0},
	    {"1k", false, false, 0},
	    {"10 LATER", false, false, 0},
	    {"10 LAST now", false, false, 0},
	    {"LAST 10", false, false, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bdat_command c;
		struct refusal why = {0};
		bool fine = bdat_parse(slice_str(cases[i].argument), &c, &why);
		ck_assert_msg(fine == cases[i].fine, "%s", cases[i].argument);
		if (!fine) {
			ck_assert_uint_eq(why.code, 521);
			continue;
		}
		ck_assert_int_eq(c.last, cases[i].last);
		ck_assert_uint_eq(c.size, cases[i].size);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bdat");
	TCase *c = tcase_create("bdat");
	tcase_add_test(c, S4_lines_and_their_ends_span_chunks);
	tcase_add_test(c, S4_the_last_chunk_may_lack_its_line_end);
	tcase_add_test(c, S4_dots_are_content);
	tcase_add_test(c, long_lines_are_seen);
	tcase_add_test(c, no_content_at_all_is_nothing_special);
	tcase_add_test(c, S5_the_octets_of_a_refused_chunk_are_skipped);
	tcase_add_test(c, S5_what_announces_no_size_is_521);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
