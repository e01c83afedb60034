/*
 * dot: where DATA ends and what it carried, against a plain reference that looks for CRLF.CRLF in
 * the whole, for every short mixture of the octets that matter, cut in every way.
 */
#include <check.h>
#include <stdlib.h>

#include "common/smtp/dot.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { TEXT_MAX = 4096 };

struct outcome {
	bool ended;
	size_t consumed; /* octets of the input taken, when ended */
	size_t len;
	char content[TEXT_MAX];
	struct content_flags flags;
};

/* Feeds text in chunks of `first` octets, then of `step`. Each chunk is a copy of its exact size,
 * so that a look behind its end is seen by the sanitizers. */
static void receive(struct slice text, size_t first, size_t step, struct outcome *o)
{
	struct dot_reader d;
	size_t at = 0;

	dot_reader_init(&d);
	*o = (struct outcome){0};
	while (at < text.len && !dot_ended(&d)) {
		struct slice part = slice_sub(text, at, at == 0 && first > 0 ? first : step), run;
		char *copy = malloc(part.len);
		struct slice input = slice_make(copy, part.len);
		memcpy(copy, part.ptr, part.len);
		while (dot_next(&d, &input, &run)) {
			/* Check's assertions are slow even when they hold */
			if (run.len == 0)
				ck_abort_msg("empty run");
			memcpy(o->content + o->len, run.ptr, run.len);
			o->len += run.len;
		}
		if (!dot_ended(&d) && input.len > 0)
			ck_abort_msg("input left over");
		at += part.len - input.len;
		free(copy);
	}
	if (d.octets != o->len)
		ck_abort_msg("miscounted");
	o->ended = dot_ended(&d);
	o->consumed = at;
	o->flags = d.flags;
}

/* The same by search in the whole: S1, S3 as the RFC says them. */
static void expect(struct slice text, struct outcome *o)
{
	static char wire[TEXT_MAX + 2];
	const char *end, *p = wire + 2, *stop;
	size_t column = 0;

	*o = (struct outcome){0};
	memcpy(wire, "\r\n", 2); /* the line end of DATA itself */
	memcpy(wire + 2, text.ptr, text.len);
	end = memmem(wire, text.len + 2, "\r\n.\r\n", 5);
	o->ended = end != NULL;
	stop = end ? end + 2 : wire + 2 + text.len;
	o->consumed = end ? (size_t)(end + 5 - wire - 2) : text.len;
	for (; p < stop; p++) {
		bool line_start = p[-1] == '\n' && p[-2] == '\r';
		if (line_start && column > 1000)
			o->flags.long_line = true;
		column = line_start ? 1 : column + 1;
		if (*p == '.' && line_start) {
			if (p + 1 < stop && p[1] == '.')
				o->flags.needs_stuffing = true;
			column = 0;
			/* a CR behind it is held back until its successor is there */
			if (!end && p + 2 == stop && p[1] == '\r')
				p++;
			continue;
		}
		o->content[o->len++] = *p;
		o->flags.nul |= *p == '\0';
		o->flags.eight_bit |= (unsigned char)*p > 127;
		o->flags.bare_lf |= *p == '\n' && p[-1] != '\r';
		o->flags.bare_cr |= *p != '\n' && p[-1] == '\r' && p > wire + 2;
	}
	/* the forerunner of a content octet may be a dot that was taken off */
	if (column > 1000 && end)
		o->flags.long_line = true;
}

static void same(struct slice text, size_t first, size_t step)
{
	struct outcome got, want;

	receive(text, first, step, &got);
	expect(text, &want);
	if (got.ended != want.ended || got.consumed != want.consumed || got.len != want.len ||
	    memcmp(got.content, want.content, got.len) != 0 ||
	    content_flags_pack(&got.flags) != content_flags_pack(&want.flags))
		ck_abort_msg("differs from the reference: %.*s", SLICE_FMT(text));
}

START_TEST(ends_at_crlf_dot_crlf_alone_in_every_mixture)
{
	/* S1, S3: all mixtures of 5 and 6 octets, behind beginnings, before ends */
	static const char alphabet[] = {'\r', '\n', '.', 'a'};
	static const char *const before[] = {"", "x", "x\r\n", "x\r"};
	static const char *const behind[] = {"", "\r\n.\r\n", "QUIT\r\n"};
	char text[64];

	for (size_t len = 5; len <= 6; len++) {
		for (size_t n = 0; n < (size_t)1 << (2 * len); n++) {
			for (size_t v = 0; v < COUNT(before) * COUNT(behind); v++) {
				const char *head = before[v % COUNT(before)];
				const char *tail = behind[v / COUNT(before)];
				size_t at = strlen(head);
				memcpy(text, head, at);
				for (size_t i = 0; i < len; i++)
					text[at++] = alphabet[n >> (2 * i) & 3];
				memcpy(text + at, tail, strlen(tail));
				at += strlen(tail);
				same(slice_make(text, at), 0, at);
				same(slice_make(text, at), 0, 1);
				same(slice_make(text, at), n % at, 2 + n % 3);
			}
		}
	}
}
END_TEST

START_TEST(never_ends_at_anything_else)
{
	/* S1: the ends that other servers took, each followed by commands that must stay content */
	static const char *const endings[] = {
	    "\n.\n",	 "\n.\r\n",	  "\r\n.\n",	   "\r\n.\r",	 "\r.\r",
	    "\r.\r\n",	 "\r\n.\r\r\n",	  "\r\n\x00.\r\n", "\r\n. \r\n", "\r\n..\r\n",
	    "\n\r.\r\n", "\r\r\n\n.\r\n", "\r\n.\n\r\n",
	};
	for (size_t i = 0; i < COUNT(endings); i++) {
		char text[100] = "Subject: x\r\n\r\nbody";
		struct outcome o;
		size_t len = strlen(text);
		memcpy(text + len, endings[i], strlen(endings[i]));
		len += strlen(endings[i]);
		memcpy(text + len, "MAIL FROM:<evil@x>\r\n", 20);
		len += 20;
		for (size_t step = 1; step <= len; step++) {
			receive(slice_make(text, len), 0, step, &o);
			ck_assert_msg(!o.ended, "ending %zu", i);
		}
	}
}
END_TEST

START_TEST(sees_bare_lf_and_cr_and_reads_on_to_the_end)
{
	/* S2: reject after consuming all */
	struct outcome o;
	receive(SLICE("a\nb\r\n.\r\n"), 0, 100, &o);
	ck_assert(o.ended && o.flags.bare_lf && !o.flags.bare_cr);
	receive(SLICE("a\rb\r\n.\r\n"), 0, 1, &o);
	ck_assert(o.ended && o.flags.bare_cr && !o.flags.bare_lf);
	receive(SLICE("a\r\r\n.\r\n"), 0, 1, &o);
	ck_assert(o.ended && o.flags.bare_cr && !o.flags.bare_lf);
	receive(SLICE("\n\r\n.\r\n"), 0, 1, &o);
	ck_assert(o.ended && o.flags.bare_lf);
	receive(SLICE(".\n\r\n.\r\n"), 0, 3, &o);
	ck_assert(o.ended && o.flags.bare_lf);
	receive(SLICE("a\r\n\r\n.b\r\n.\r\n"), 0, 1, &o);
	ck_assert(o.ended && content_flags_pack(&o.flags) == 0);
}
END_TEST

START_TEST(takes_dots_off_lines_not_chunks)
{
	/* S3 */
	struct outcome o;
	struct slice wire = SLICE("..a\r\n.b\r\nc.d\r\n...\r\n.\r\nQUIT\r\n");
	for (size_t step = 1; step <= wire.len; step++) {
		receive(wire, 0, step, &o);
		ck_assert(
		    slice_equal(slice_make(o.content, o.len), SLICE(".a\r\nb\r\nc.d\r\n..\r\n")));
		ck_assert(o.ended && o.flags.needs_stuffing);
		ck_assert_uint_eq(wire.len - o.consumed, 6);
	}
	receive(SLICE(".b\r\n.\r\n"), 0, 100, &o);
	ck_assert(!o.flags.needs_stuffing);
	receive(SLICE(".\r\n"), 0, 1, &o);
	ck_assert(o.ended && o.len == 0);
}
END_TEST

START_TEST(sees_nul_eight_bit_and_long_lines)
{
	struct outcome o;
	char text[TEXT_MAX];
	receive(SLICE("a\0b\r\n.\r\n"), 0, 100, &o);
	ck_assert_uint_eq(content_flags_pack(&o.flags),
			  content_flags_pack(&(struct content_flags){.nul = true}));
	receive(SLICE("a\xc3\r\n.\r\n\xff"), 0, 100, &o);
	ck_assert_uint_eq(content_flags_pack(&o.flags),
			  content_flags_pack(&(struct content_flags){.eight_bit = true}));
	receive(SLICE("a\r\n.\r\n\xff\0\n"), 0, 100, &o);
	ck_assert_uint_eq(content_flags_pack(&o.flags), 0);
	for (size_t line = 996; line < 1002; line++) {
		for (size_t step = 1; step < 1100; step += 97) {
			size_t len = 0;
			memcpy(text, "..", 2); /* the first does not count */
			memset(text + 2, 'x', line - 1);
			len = 2 + line - 1;
			memcpy(text + len, "\r\nb\r\n.\r\n", 8);
			receive(slice_make(text, len + 8), 0, step, &o);
			ck_assert(o.ended);
			ck_assert_int_eq(o.flags.long_line, line > CONTENT_LINE_MAX);
		}
	}
}
END_TEST

START_TEST(hands_out_long_runs)
{
	char text[TEXT_MAX];
	struct dot_reader d;
	struct slice input, run;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	dot_reader_init(&d);
	input = slice_make(text, sizeof(text));
	ck_assert(dot_next(&d, &input, &run));
	ck_assert_ptr_eq(run.ptr, text);
	ck_assert_uint_eq(run.len, sizeof(text));
	ck_assert(!dot_next(&d, &input, &run));
	ck_assert_uint_eq(content_flags_pack(&d.flags), 0);
}
END_TEST

START_TEST(agrees_with_the_reference_on_random_text)
{
	static const char alphabet[] = "\r\n.\r\n.a\0\xff";
	unsigned seed = 1;
	for (int round = 0; round < 3000; round++) {
		char text[400];
		size_t len = 1 + (size_t)rand_r(&seed) % sizeof(text);
		int spread = rand_r(&seed) % 30;
		for (size_t i = 0; i < len; i++) {
			text[i] = alphabet[(size_t)rand_r(&seed) % 9];
			if (rand_r(&seed) % 30 < spread)
				text[i] = 'x';
		}
		same(slice_make(text, len), 0, len);
		same(slice_make(text, len), 0, 1);
		same(slice_make(text, len), 0, 1 + (size_t)rand_r(&seed) % 100);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dot");
	TCase *c = tcase_create("dot");
	tcase_add_test(c, ends_at_crlf_dot_crlf_alone_in_every_mixture);
	tcase_add_test(c, never_ends_at_anything_else);
	tcase_add_test(c, sees_bare_lf_and_cr_and_reads_on_to_the_end);
	tcase_add_test(c, takes_dots_off_lines_not_chunks);
	tcase_add_test(c, sees_nul_eight_bit_and_long_lines);
	tcase_add_test(c, hands_out_long_runs);
	tcase_add_test(c, agrees_with_the_reference_on_random_text);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
