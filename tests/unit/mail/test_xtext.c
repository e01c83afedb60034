/* xtext: printable text as one word (RFC 3461 4). */
#include <check.h>

#include "common/mail/xtext.h"

enum { ROOM = 64 };

static const struct {
	const char *text, *word;
} pairs[] = {
    {"", ""},
    {"bob@example.org", "bob@example.org"},
    {"a+b@example.org", "a+2Bb@example.org"},
    {"+", "+2B"},
    {"=a=", "+3Da+3D"},
    {"two words ", "two+20words+20"},
    {"++", "+2B+2B"},
    {"\x01\x7f\xff", "+01+7F+FF"},
};

START_TEST(only_what_is_no_word_is_escaped)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct buffer b;
		buffer_init(&b, ROOM);
		ck_assert(xtext_encode(slice_str(pairs[i].text), &b));
		ck_assert_msg(slice_equal(buffer_slice(&b), slice_str(pairs[i].word)), "pair %zu",
			      i);
		buffer_free(&b);
	}
}
END_TEST

START_TEST(what_was_escaped_is_read_back)
{
	for (size_t i = 0; i + 1 < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct buffer b;
		buffer_init(&b, ROOM);
		ck_assert(xtext_decode(slice_str(pairs[i].word), &b));
		ck_assert_msg(slice_equal(buffer_slice(&b), slice_str(pairs[i].text)), "pair %zu",
			      i);
		buffer_free(&b);
	}
}
END_TEST

START_TEST(a_word_that_is_too_long_is_told)
{
	struct buffer b;
	buffer_init(&b, 8);
	ck_assert(xtext_encode(SLICE("12345678"), &b));
	buffer_reset(&b);
	ck_assert(!xtext_encode(SLICE("123456789"), &b));
	buffer_reset(&b);
	ck_assert(!xtext_encode(SLICE("123456+"), &b));
	buffer_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xtext");
	TCase *t = tcase_create("xtext");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, only_what_is_no_word_is_escaped);
	tcase_add_test(t, what_was_escaped_is_read_back);
	tcase_add_test(t, a_word_that_is_too_long_is_told);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
