/* reply: one line, always. */
#include <check.h>

#include "common/smtp/reply.h"

static void holds(const struct buffer *b, const char *want)
{
	ck_assert(slice_equal(buffer_slice(b), slice_str(want)));
}

START_TEST(writes_lines_with_and_without_enhanced_codes)
{
	struct buffer b;
	struct refusal why;
	buffer_init(&b, 4096);
	/* S17: none in the reply to EHLO */
	ck_assert(reply_more(&b, 250, NULL, "mx.example.org"));
	ck_assert(reply_more(&b, 250, NULL, "SIZE %d", 100));
	ck_assert(reply_write(&b, 250, NULL, "%s", "8BITMIME"));
	ck_assert(reply_write(&b, 250, "2.0.0", "Ok: queued as %s", "0BC"));
	ck_assert(!refuse(&why, 501, "5.5.4", "no"));
	ck_assert(reply_refusal(&b, &why));
	holds(&b, "250-mx.example.org\r\n250-SIZE 100\r\n250 8BITMIME\r\n"
		  "250 2.0.0 Ok: queued as 0BC\r\n501 5.5.4 no\r\n");
	buffer_free(&b);
	ck_assert(!refuse(NULL, 501, "5.5.4", "no"));
}
END_TEST

START_TEST(lets_no_text_leave_its_line)
{
	struct buffer b;
	buffer_init(&b, 4096);
	ck_assert(reply_write(&b, 550, "5.1.1", "<%s>: no", "a\r\n250 ok\t\x7f\xff"));
	holds(&b, "550 5.1.1 <a??250 ok??"
		  "?>: no\r\n");
	buffer_free(&b);
}
END_TEST

START_TEST(cuts_at_512_octets)
{
	char text[2000];
	struct buffer b;
	memset(text, 'x', sizeof(text));
	for (int len = 480; len < 2000; len++) {
		buffer_init(&b, 4096);
		ck_assert(reply_write(&b, 550, "5.1.1", "%.*s", len, text));
		struct slice line = buffer_slice(&b);
		ck_assert_uint_le(line.len, REPLY_LINE_MAX);
		ck_assert_uint_ge(line.len, 490);
		ck_assert(slice_ends_fold(line, SLICE("x\r\n")));
		buffer_free(&b);
	}
	buffer_init(&b, 4096);
	memset(text, '5', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert(reply_write(&b, 550, text, "x"));
	ck_assert_uint_le(buffer_slice(&b).len, REPLY_LINE_MAX);
	buffer_free(&b);
}
END_TEST

START_TEST(a_text_that_is_ready_is_the_same_line)
{
	char line[REPLY_LINE_MAX], text[REPLY_LINE_MAX + 1];
	struct buffer b;
	for (size_t len = 0; len < sizeof(text); len++) {
		memset(text, len % 7 ? 'x' : '\n', len);
		buffer_init(&b, 4096);
		ck_assert(reply_write(&b, 250, len % 2 ? "2.0.0" : NULL, "%.*s", (int)len, text));
		size_t got = reply_line(line, 250, len % 2 ? "2.0.0" : NULL, slice_make(text, len));
		ck_assert(slice_equal(slice_make(line, got), buffer_slice(&b)));
		buffer_free(&b);
	}
}
END_TEST

START_TEST(appends_nothing_to_a_full_buffer)
{
	struct buffer b;
	buffer_init(&b, 20);
	ck_assert(reply_write(&b, 250, "2.0.0", "Ok"));
	ck_assert(!reply_write(&b, 250, "2.0.0", "Ok"));
	holds(&b, "250 2.0.0 Ok\r\n");
	buffer_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reply");
	TCase *c = tcase_create("reply");
	tcase_add_test(c, writes_lines_with_and_without_enhanced_codes);
	tcase_add_test(c, lets_no_text_leave_its_line);
	tcase_add_test(c, cuts_at_512_octets);
	tcase_add_test(c, a_text_that_is_ready_is_the_same_line);
	tcase_add_test(c, appends_nothing_to_a_full_buffer);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
