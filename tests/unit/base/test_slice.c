/* slice: comparing, cutting and copying, with empty slices and null pointers at every place. */
#include <check.h>

#include "common/base/slice.h"

static const struct slice nothing = {NULL, 0};

START_TEST(compares_octets_and_folds_only_ascii)
{
	static const struct {
		struct slice a, b;
		bool equal, fold;
	} cases[] = {
	    {SLICE("abc"), SLICE("abc"), true, true},
	    {SLICE("aBc"), SLICE("AbC"), false, true},
	    {SLICE("abc"), SLICE("abcd"), false, false},
	    {SLICE(""), {NULL, 0}, true, true},
	    {SLICE("a\0b"), SLICE("a\0c"), false, false},
	    {SLICE("\xc4"), SLICE("\xe4"), false, false}, /* not letters to us */
	    {SLICE("[@`{"), SLICE("{`@["), false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(slice_equal(cases[i].a, cases[i].b), cases[i].equal);
		ck_assert_int_eq(slice_equal_fold(cases[i].a, cases[i].b), cases[i].fold);
	}
	for (int c = 0; c < 256; c++) {
		char folded = ascii_lower((char)c);
		bool upper = c >= 'A' && c <= 'Z';
		ck_assert_int_eq(folded, upper ? (char)(c + 32) : (char)c);
	}
}
END_TEST

START_TEST(sees_starts_and_ends)
{
	ck_assert(slice_starts(SLICE("MAIL FROM"), SLICE("MAIL")));
	ck_assert(!slice_starts(SLICE("mail"), SLICE("MAIL")));
	ck_assert(slice_starts_fold(SLICE("mail"), SLICE("MAIL")));
	ck_assert(!slice_starts_fold(SLICE("mai"), SLICE("MAIL")));
	ck_assert(slice_starts(nothing, nothing));
	ck_assert(slice_starts(SLICE("x"), nothing));
	ck_assert(slice_ends_fold(SLICE("a.EXAMPLE"), SLICE(".example")));
	ck_assert(!slice_ends_fold(SLICE("example"), SLICE(".example")));
	ck_assert(slice_ends_fold(nothing, nothing));
}
END_TEST

START_TEST(orders_by_octet_then_length)
{
	static const struct slice sorted[] = {
	    {NULL, 0}, SLICE("A"), SLICE("a"), SLICE("a\0"), SLICE("aa"), SLICE("b"), SLICE("\xff"),
	};
	int n = sizeof(sorted) / sizeof(sorted[0]);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < n; k++) {
			int order = slice_compare(sorted[i], sorted[k]);
			ck_assert_int_eq((order > 0) - (order < 0), (i > k) - (i < k));
		}
}
END_TEST

START_TEST(finds_the_first_and_the_last)
{
	ck_assert_uint_eq(slice_find(SLICE("a@b@c"), '@'), 1);
	ck_assert_uint_eq(slice_find_last(SLICE("a@b@c"), '@'), 3);
	ck_assert_uint_eq(slice_find(SLICE("abc"), '@'), 3);
	ck_assert_uint_eq(slice_find_last(SLICE("abc"), '@'), 3);
	ck_assert_uint_eq(slice_find(nothing, '@'), 0);
	ck_assert_uint_eq(slice_find_last(nothing, '@'), 0);
	ck_assert_uint_eq(slice_find(SLICE("a\0b"), '\0'), 1);
}
END_TEST

START_TEST(cuts_to_what_is_there)
{
	struct slice s = SLICE("0123456789");
	ck_assert(slice_equal(slice_sub(s, 2, 3), SLICE("234")));
	ck_assert(slice_equal(slice_sub(s, 8, SIZE_MAX), SLICE("89")));
	ck_assert_uint_eq(slice_sub(s, 10, 1).len, 0);
	ck_assert_uint_eq(slice_sub(s, SIZE_MAX, SIZE_MAX).len, 0);
	ck_assert(slice_equal(slice_from(s, 9), SLICE("9")));
	ck_assert_ptr_eq(slice_from(s, 99).ptr, s.ptr + 10);
	ck_assert_uint_eq(slice_from(nothing, 3).len, 0);
	ck_assert(slice_equal(slice_trim(SLICE(" \t\r\n a b \n")), SLICE("a b")));
	ck_assert_uint_eq(slice_trim(SLICE(" \t ")).len, 0);
	ck_assert_uint_eq(slice_trim(nothing).len, 0);
}
END_TEST

START_TEST(splits_at_the_first)
{
	struct slice head, rest;
	ck_assert(slice_split(SLICE("a:b:c"), ':', &head, &rest));
	ck_assert(slice_equal(head, SLICE("a")) && slice_equal(rest, SLICE("b:c")));
	ck_assert(slice_split(SLICE("a:"), ':', &head, &rest));
	ck_assert(slice_equal(head, SLICE("a")) && rest.len == 0);
	ck_assert(slice_split(SLICE(":"), ':', &head, &rest));
	ck_assert(head.len == 0 && rest.len == 0);
	ck_assert(!slice_split(SLICE("abc"), ':', &head, &rest));
	ck_assert(slice_equal(head, SLICE("abc")) && rest.len == 0);
	ck_assert(!slice_split(nothing, ':', &head, &rest));
	ck_assert(head.len == 0 && rest.len == 0);
}
END_TEST

START_TEST(takes_words_off)
{
	struct slice line = SLICE("  one\ttwo \r\n three");
	ck_assert(slice_equal(slice_word(&line), SLICE("one")));
	ck_assert(slice_equal(slice_word(&line), SLICE("two")));
	ck_assert(slice_equal(slice_word(&line), SLICE("three")));
	ck_assert_uint_eq(slice_word(&line).len, 0);
	ck_assert_uint_eq(line.len, 0);
	line = nothing;
	ck_assert_uint_eq(slice_word(&line).len, 0);
}
END_TEST

START_TEST(reads_numbers_up_to_the_limit)
{
	static const struct {
		struct slice s;
		uint64_t max;
		bool good;
		uint64_t number;
	} cases[] = {
	    {SLICE("0"), 0, true, 0},
	    {SLICE("007"), 7, true, 7},
	    {SLICE("8"), 7, false, 0},
	    {SLICE("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
	    {SLICE("18446744073709551616"), UINT64_MAX, false, 0},
	    {SLICE("99999999999999999999999"), UINT64_MAX, false, 0},
	    {SLICE(""), 9, false, 0},
	    {{NULL, 0}, 9, false, 0},
	    {SLICE("+1"), 9, false, 0},
	    {SLICE("-1"), 9, false, 0},
	    {SLICE(" 1"), 9, false, 0},
	    {SLICE("1a"), 9, false, 0},
	    {SLICE("1\0"), 9, false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t n = 42;
		ck_assert_int_eq(slice_number(cases[i].s, cases[i].max, &n), cases[i].good);
		ck_assert_uint_eq(n, cases[i].good ? cases[i].number : 42);
	}
}
END_TEST

START_TEST(copies_only_what_fits)
{
	char dst[4] = "xxx";
	ck_assert(slice_copy(SLICE("abc"), dst, sizeof(dst)));
	ck_assert_str_eq(dst, "abc");
	ck_assert(!slice_copy(SLICE("abcd"), dst, sizeof(dst)));
	ck_assert_str_eq(dst, "");
	ck_assert(!slice_copy(SLICE("a\0b"), dst, sizeof(dst)));
	ck_assert_str_eq(dst, "");
	ck_assert(slice_copy(nothing, dst, 1));
	ck_assert_str_eq(dst, "");
	ck_assert(!slice_copy(nothing, dst, 0));
}
END_TEST

START_TEST(lowers_in_place)
{
	char text[] = "MiXeD-\xc4";
	slice_lower(slice_make(text, sizeof(text) - 1), text);
	ck_assert_str_eq(text, "mixed-\xc4");
	ck_assert_uint_eq(slice_str(NULL).len, 0);
	ck_assert_uint_eq(slice_str("four").len, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slice");
	TCase *c = tcase_create("slice");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, compares_octets_and_folds_only_ascii);
	tcase_add_test(c, sees_starts_and_ends);
	tcase_add_test(c, orders_by_octet_then_length);
	tcase_add_test(c, finds_the_first_and_the_last);
	tcase_add_test(c, cuts_to_what_is_there);
	tcase_add_test(c, splits_at_the_first);
	tcase_add_test(c, takes_words_off);
	tcase_add_test(c, reads_numbers_up_to_the_limit);
	tcase_add_test(c, copies_only_what_fits);
	tcase_add_test(c, lowers_in_place);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
