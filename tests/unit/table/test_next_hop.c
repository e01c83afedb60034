/*
 * Next hops: what an administrator may write, and the one form that comes of it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/table/next_hop.h"

static const struct {
	const char *text, *item; /* item NULL: refused */
} ITEMS[] = {
    {"example.org", "example.org"},
    {"Example.ORG:25", "example.org"},
    {"example.org:587", "example.org:587"},
    {"[mx.Example.org]", "[mx.example.org]:25"},
    {"[mx.example.org]:2525", "[mx.example.org]:2525"},
    {"[mx]", "[mx]:25"},
    {"[192.0.2.1]", "[192.0.2.1]:25"},
    {"192.0.2.1:587", "[192.0.2.1]:587"},
    {"192.0.2.1", "[192.0.2.1]:25"},
    {"[2001:DB8::1]:26", "[IPv6:2001:db8::1]:26"},
    {"[IPv6:2001:db8:0::1]", "[IPv6:2001:db8::1]:25"},
    {"[ipv6:::1]:25", "[IPv6:::1]:25"},
    {"[b\xc3\xbc"
     "cher.example]",
     "[xn--bcher-kva.example]:25"},
    {"B\xc3\x9c"
     "CHER.example:26",
     "xn--bcher-kva.example:26"},
    {"", NULL},
    {"[]", NULL},
    {"[mx", NULL},
    {"[mx]25", NULL},
    {"[mx]:", NULL},
    {"[mx]:0", NULL},
    {"[mx]:65536", NULL},
    {"mx:smtp", NULL},
    {":25", NULL},
    {"2001:db8::1", NULL},
    {"-mx-.example", NULL},
    {"a..b", NULL},
    {"1.2.3", NULL},
    {"[1.2.3.256]", NULL},
    {"user@example.org", NULL},
    {"mx/25", NULL},
};

START_TEST(items_have_one_form)
{
	char item[NEXT_HOP_ITEM_SIZE], again[NEXT_HOP_ITEM_SIZE];
	const char *fault = next_hop_item(slice_str(ITEMS[_i].text), item);
	ck_assert_msg((fault == NULL) == (ITEMS[_i].item != NULL), "%s: %s", ITEMS[_i].text,
		      fault ? fault : item);
	if (fault)
		return;
	ck_assert_str_eq(item, ITEMS[_i].item);
	ck_assert_ptr_null(next_hop_item(slice_str(item), again));
	ck_assert_str_eq(again, item);
}
END_TEST

START_TEST(several_stand_side_by_side)
{
	char hops[NEXT_HOP_TEXT_MAX + 1];
	ck_assert_ptr_null(next_hop_parse(SLICE("  [a.example]\tb.example:25 "), hops));
	ck_assert_str_eq(hops, "[a.example]:25 b.example");
	ck_assert_ptr_nonnull(next_hop_parse(SLICE(" "), hops));
	ck_assert_ptr_nonnull(next_hop_parse(SLICE("a.example [b"), hops));
}
END_TEST

START_TEST(no_more_than_fit)
{
	char hops[NEXT_HOP_TEXT_MAX + 1], text[2 * NEXT_HOP_TEXT_MAX] = "";
	size_t len = 0;
	while (len + 10 <= NEXT_HOP_TEXT_MAX)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "a.example ");
	ck_assert_ptr_null(next_hop_parse(slice_make(text, len), hops));
	snprintf(text + len, sizeof(text) - len, "a.example");
	ck_assert_str_eq(next_hop_parse(slice_str(text), hops), "these are too many hosts");
}
END_TEST

START_TEST(they_are_taken_off_one_by_one)
{
	struct slice hops = SLICE("example.org:587 [mx.example.org]:25 [IPv6:2001:db8::1]:26");
	struct next_hop hop;
	ck_assert(next_hop_next(&hops, &hop));
	ck_assert(slice_equal(hop.host, SLICE("example.org")));
	ck_assert(hop.mx && !hop.literal);
	ck_assert_uint_eq(hop.port, 587);
	ck_assert(next_hop_next(&hops, &hop));
	ck_assert(slice_equal(hop.host, SLICE("mx.example.org")));
	ck_assert(!hop.mx && !hop.literal);
	ck_assert(next_hop_next(&hops, &hop));
	ck_assert(slice_equal(hop.host, SLICE("2001:db8::1")));
	ck_assert(!hop.mx && hop.literal);
	ck_assert_uint_eq(hop.port, 26);
	ck_assert(!next_hop_next(&hops, &hop));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("next_hop");
	TCase *cases = tcase_create("next_hop");
	tcase_add_loop_test(cases, items_have_one_form, 0, sizeof(ITEMS) / sizeof(ITEMS[0]));
	tcase_add_test(cases, several_stand_side_by_side);
	tcase_add_test(cases, no_more_than_fit);
	tcase_add_test(cases, they_are_taken_off_one_by_one);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
