/* header: where it ends, whatever the pieces it comes in, and its fields. */
#include <check.h>

#include "common/mail/header.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
	const char *content;
	size_t header, body;
	enum header_end end; /* of the complete content */
} contents[] = {
    {"", 0, 0, HEADER_NO_BODY},
    {"A: b\r\n\r\nbody", 6, 8, HEADER_BLANK_LINE},
    {"A: b\r\n c\r\n\td\r\nE:f\r\n\r\n", 19, 21, HEADER_BLANK_LINE},
    {"A: b\r\n", 6, 6, HEADER_NO_BODY},
    {"A: b\r\nC: d", 10, 10, HEADER_NO_BODY},
    {"A: b\r\nbody\r\n", 6, 6, HEADER_NOT_A_FIELD},
    {"A: b\r\nbody", 6, 6, HEADER_NOT_A_FIELD},
    {"A: b\r\nbo dy: x\r\n", 6, 6, HEADER_NOT_A_FIELD},
    {"A: b\r\n: x\r\n", 6, 6, HEADER_NOT_A_FIELD},
    {"\r\nbody", 0, 2, HEADER_BLANK_LINE},
    {"body\r\n", 0, 0, HEADER_NOT_A_FIELD},
    {"A : b\r\n\r\n", 7, 9, HEADER_BLANK_LINE},
    {"A: b\r\n \t \r\n\r\n", 11, 13, HEADER_BLANK_LINE},
    {"A: b\n\nc\r\n\r\nd", 9, 11, HEADER_BLANK_LINE},
    {"A: b\r\n\rx\r\n", 6, 6, HEADER_NOT_A_FIELD},
    {"A\xc3\xb6: b\r\n", 0, 0, HEADER_NOT_A_FIELD},
    /* S20: a body that starts with a blank has an empty header */
    {" body\r\nA: b\r\n\r\n", 0, 0, HEADER_NOT_A_FIELD},
    {"\tbody\r\n", 0, 0, HEADER_NOT_A_FIELD},
    /* S20: From lines at the front, and nowhere else */
    {"From bob Mon Sep 28\r\nA: b\r\n\r\n", 27, 29, HEADER_BLANK_LINE},
    {">From bob\r\n>>From x\r\nA: b\r\n\r\n", 27, 29, HEADER_BLANK_LINE},
    {"From bob\r\n\r\n", 10, 12, HEADER_BLANK_LINE},
    {"From bob\r\n folded\r\n", 10, 10, HEADER_NOT_A_FIELD},
    {"From bob", 8, 8, HEADER_NO_BODY},
    {"A: b\r\nFrom bob\r\n", 6, 6, HEADER_NOT_A_FIELD},
    {"From : b\r\nA: b\r\n\r\n", 16, 18, HEADER_BLANK_LINE},
    {"From\r\n", 0, 0, HEADER_NOT_A_FIELD},
};

START_TEST(finds_the_end_of_the_header)
{
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct slice content = slice_str(contents[i].content), header, body;
		ck_assert_msg(header_split(content, &header, &body) == contents[i].end, "%s",
			      contents[i].content);
		ck_assert_uint_eq(header.len, contents[i].header);
		ck_assert_ptr_eq(header.ptr, content.ptr);
		ck_assert_uint_eq(content.len - body.len, contents[i].body);
	}
}
END_TEST

START_TEST(finds_the_same_end_in_pieces)
{
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct slice content = slice_str(contents[i].content);
		for (size_t step = 1; step < 5; step++) {
			struct header_scan scan = {0};
			for (size_t n = 0; n < content.len; n += step)
				(void)header_scan(&scan, slice_sub(content, 0, n));
			ck_assert_int_eq(header_scan_finish(&scan, content), contents[i].end);
			ck_assert_uint_eq(scan.header, contents[i].header);
			ck_assert_uint_eq(scan.body, contents[i].body);
		}
	}
}
END_TEST

START_TEST(decides_before_a_long_body_line_ends)
{
	struct header_scan scan = {0};
	ck_assert_int_eq(header_scan(&scan, SLICE("A: b\r\nHello wor")), HEADER_NOT_A_FIELD);
	ck_assert_uint_eq(scan.body, 6);
	char run[1200];
	memset(run, '>', sizeof(run));
	scan = (struct header_scan){0};
	ck_assert_int_eq(header_scan(&scan, slice_make(run, 900)), HEADER_MORE);
	ck_assert_int_eq(header_scan(&scan, slice_make(run, 1200)), HEADER_NOT_A_FIELD);
}
END_TEST

START_TEST(walks_the_fields)
{
	struct slice block = SLICE("Received: one\r\n\ttwo\r\nsubject :  x \r\n");
	struct header_field f;
	ck_assert(header_next(&block, &f));
	ck_assert(slice_equal(f.raw, SLICE("Received: one\r\n\ttwo\r\n")));
	ck_assert(slice_equal(f.name, SLICE("Received")));
	ck_assert(slice_equal(f.value, SLICE("one\r\n\ttwo")));
	ck_assert(header_next(&block, &f));
	ck_assert(slice_equal(f.name, SLICE("subject")));
	ck_assert(slice_equal(f.value, SLICE("x")));
	ck_assert(!f.from_line);
	ck_assert(!header_next(&block, &f));
	ck_assert_uint_eq(block.len, 0);
	block = SLICE("no field\r\n");
	ck_assert(!header_next(&block, &f));
}
END_TEST

START_TEST(finds_and_counts_by_name)
{
	/* S26: what the hop limit counts */
	struct slice block = SLICE("RECEIVED: a\r\nX: Received: no\r\n Received: no\r\n"
				   "Received : b\r\nReceived-SPF: c\r\nreceived:\r\n");
	struct header_field f;
	ck_assert_uint_eq(header_count(block, SLICE("Received")), 3);
	ck_assert(header_find(block, SLICE("x"), &f));
	ck_assert(slice_equal(f.name, SLICE("X")));
	ck_assert(!header_find(block, SLICE("To"), &f));
}
END_TEST

START_TEST(removes_by_name_and_renames_from_lines)
{
	/* S57: Return-Path and Bcc go; S20 */
	static const struct slice names[] = {{"Return-Path", 11}, {"Bcc", 3}};
	struct slice block =
	    SLICE("From a\r\nreturn-path: <x>\r\nA: b\r\nBCC: c,\r\n d\r\nE: f\r\n");
	struct buffer out;
	buffer_init(&out, 1000);
	ck_assert(header_remove(block, names, 2, &out));
	ck_assert(
	    slice_equal(buffer_slice(&out), SLICE("X-Mailbox-Line: From a\r\nA: b\r\nE: f\r\n")));
	buffer_free(&out);
	buffer_init(&out, 20);
	ck_assert(!header_remove(block, names, 2, &out));
	buffer_free(&out);
}
END_TEST

START_TEST(knows_a_field_name)
{
	struct slice name;
	ck_assert(header_field_name(SLICE("Subject: x"), &name));
	ck_assert(slice_equal(name, SLICE("Subject")));
	ck_assert(header_field_name(SLICE("X-1:"), &name));
	ck_assert(!header_field_name(SLICE(" A: b"), &name));
	ck_assert(!header_field_name(SLICE(""), &name));
	ck_assert(!header_field_name(SLICE("A"), &name));
	ck_assert(!header_field_name(SLICE("A b:"), &name));
}
END_TEST

/* A client that sends them one by one would have each of them looked at again for every other. */
START_TEST(blanks_without_end_behind_a_name_are_no_field)
{
	char text[4000];
	struct header_scan scan = {0};
	size_t len = 1;

	memset(text, ' ', sizeof(text));
	text[0] = 'A';
	while (len < sizeof(text) && header_scan(&scan, slice_make(text, len)) == HEADER_MORE)
		len++;
	ck_assert_int_eq(scan.end, HEADER_NOT_A_FIELD);
	ck_assert_uint_eq(scan.header, 0);
	ck_assert_uint_lt(len, 2500);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("header");
	TCase *c = tcase_create("header");
	tcase_add_test(c, blanks_without_end_behind_a_name_are_no_field);
	tcase_add_test(c, finds_the_end_of_the_header);
	tcase_add_test(c, finds_the_same_end_in_pieces);
	tcase_add_test(c, decides_before_a_long_body_line_ends);
	tcase_add_test(c, walks_the_fields);
	tcase_add_test(c, finds_and_counts_by_name);
	tcase_add_test(c, removes_by_name_and_renames_from_lines);
	tcase_add_test(c, knows_a_field_name);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
