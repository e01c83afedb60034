/* octets and maildir_name: what a message's size is, and what a file's name tells. */
#include <check.h>
#include <stdlib.h>

#include "common/mailbox/maildir_name.h"
#include "common/mailbox/octets.h"

static const struct {
	const char *text;
	uint64_t octets;
} sizes[] = {
    {"", 0},	  {"\n", 2},	 {"\r\n", 2},	  {"a", 3},	 {"a\n", 3},
    {"a\r\n", 3}, {"a\nb\n", 6}, {"a\r\nb\n", 6}, {"a\rb\n", 5}, {"a\r\r\n", 4},
    {"a\r", 4},	  {"\n\n\n", 6}, {"a\n\nb", 8},
};

START_TEST(octets_are_those_with_crlf_wherever_it_is_cut)
{
	struct slice s = slice_str(sizes[_i].text);
	for (size_t cut = 0; cut <= s.len; cut++) {
		struct octets_count c = {0};
		octets_add(&c, slice_sub(s, 0, cut));
		octets_add(&c, slice_from(s, cut));
		ck_assert_uint_eq(octets_end(&c), sizes[_i].octets);
	}
}
END_TEST

static const struct {
	const char *name;
	uint64_t seconds, microseconds, octets;
	const char *unique;
	bool sized;
} names[] = {
    {"17.M5P1Q0R1A1.h,S=10,W=12:2,S", 17, 5, 12, "17.M5P1Q0R1A1.h", true},
    {"17.M5P1.h", 17, 5, 0, "17.M5P1.h", false},
    {"17.M5P1.h:2,", 17, 5, 0, "17.M5P1.h", false},
    {"17.M5P1.h,S=10", 17, 5, 0, "17.M5P1.h", false},
    {"17.M5P1.h,W=12", 17, 5, 12, "17.M5P1.h", true},
    {"17.M5P1.h,W=x", 17, 5, 0, "17.M5P1.h", false},
    {"17.M5P1.h,W=99999999999999999999", 17, 5, 0, "17.M5P1.h", false},
    {"17.M5P1.h,a,W=12", 17, 5, 12, "17.M5P1.h,a,W=12", true},
    {"17.1234_0.h", 17, 0, 0, "17.1234_0.h", false},
    {"x", 0, 0, 0, "x", false},
    {"", 0, 0, 0, "", false},
    {":2,S", 0, 0, 0, "", false},
    {"99999999999999999999.M1.h", 0, 0, 0, "99999999999999999999.M1.h", false},
};

START_TEST(a_name_tells_time_size_and_what_stays)
{
	struct maildir_name n;
	maildir_name_read(slice_str(names[_i].name), &n);
	ck_assert_uint_eq(n.seconds, names[_i].seconds);
	ck_assert_uint_eq(n.microseconds, names[_i].microseconds);
	ck_assert_uint_eq(n.octets, names[_i].octets);
	ck_assert_int_eq(n.sized, names[_i].sized);
	ck_assert(slice_equal(n.unique, slice_str(names[_i].unique)));
}
END_TEST

START_TEST(names_have_the_order_of_arrival)
{
	static const char *const order[] = {
	    "x", "9.M5.a", "10.1.b", "10.M9.a", "10.M10.a,S=1", "10.M10.b", "100.a"};
	for (size_t i = 0; i + 1 < sizeof(order) / sizeof(order[0]); i++) {
		struct maildir_name a, b;
		maildir_name_read(slice_str(order[i]), &a);
		maildir_name_read(slice_str(order[i + 1]), &b);
		ck_assert_msg(maildir_name_compare(&a, &b) < 0, "%s", order[i]);
		ck_assert_int_gt(maildir_name_compare(&b, &a), 0);
		ck_assert_int_eq(maildir_name_compare(&a, &a), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("names");
	TCase *tc = tcase_create("names");
	tcase_add_loop_test(tc, octets_are_those_with_crlf_wherever_it_is_cut, 0,
			    sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(tc, a_name_tells_time_size_and_what_stays, 0,
			    sizeof(names) / sizeof(names[0]));
	tcase_add_test(tc, names_have_the_order_of_arrival);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
