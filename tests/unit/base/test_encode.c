/* encode: RFC 4648's vectors, and everything that a strict decoder must refuse. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/encode.h"

START_TEST(hex_goes_both_ways)
{
	char text[2 * 256 + 1];
	uint8_t data[256], back[256];
	size_t len = 0;
	for (int i = 0; i < 256; i++)
		data[i] = (uint8_t)i;
	hex_encode(data, 256, text);
	ck_assert(slice_starts(slice_str(text), SLICE("000102030405060708090a0b")));
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert(hex_decode(slice_str(text), back, sizeof(back), &len));
	ck_assert(len == 256 && memcmp(data, back, 256) == 0);
	ck_assert(!hex_decode(slice_str(text), back, 255, &len));
	hex_encode(data, 0, text);
	ck_assert_str_eq(text, "");
	ck_assert(hex_decode(SLICE("fFAb"), back, 2, &len) && back[0] == 0xff && back[1] == 0xab);
	ck_assert(hex_decode(SLICE_EMPTY, back, 0, &len) && len == 0);
	ck_assert(!hex_decode(SLICE("abc"), back, 9, &len));
	ck_assert(!hex_decode(SLICE("0g"), back, 9, &len));
	ck_assert(!hex_decode(SLICE("G0"), back, 9, &len));
	ck_assert(!hex_decode(SLICE("@@"), back, 9, &len));
	ck_assert(!hex_decode(SLICE("0x"), back, 9, &len));
}
END_TEST

START_TEST(base64_gives_the_vectors_of_rfc_4648)
{
	static const struct {
		struct slice plain, coded;
	} cases[] = {
	    {{NULL, 0}, {NULL, 0}},
	    {SLICE("f"), SLICE("Zg==")},
	    {SLICE("fo"), SLICE("Zm8=")},
	    {SLICE("foo"), SLICE("Zm9v")},
	    {SLICE("foob"), SLICE("Zm9vYg==")},
	    {SLICE("fooba"), SLICE("Zm9vYmE=")},
	    {SLICE("foobar"), SLICE("Zm9vYmFy")},
	    {SLICE("\xfb\xff\xbf"), SLICE("+/+/")},
	    {SLICE("\0alice\0pw"), SLICE("AGFsaWNlAHB3")},
	};
	struct buffer b;
	buffer_init(&b, 100);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_reset(&b);
		ck_assert(base64_encode(cases[i].plain, &b));
		ck_assert(slice_equal(buffer_slice(&b), cases[i].coded));
		buffer_reset(&b);
		ck_assert(base64_decode(cases[i].coded, &b));
		ck_assert(slice_equal(buffer_slice(&b), cases[i].plain));
	}
	buffer_free(&b);
}
END_TEST

START_TEST(base64_refuses_liberties)
{
	static const struct slice wrong[] = {
	    SLICE("Zg"),     SLICE("Zg="),  SLICE("Zg==="), SLICE("Z==="),     SLICE("===="),
	    SLICE("="),	     SLICE("Zh=="), SLICE("Zm9="),  SLICE("Zg==Zg=="), SLICE("Zm8=Zm9v"),
	    SLICE("Zm9v\n"), SLICE("Zm 9"), SLICE("Zm9\n"), SLICE("-_-_"),     SLICE("Zm9\0"),
	    SLICE("Z=9v"),   SLICE("Zm=v"), SLICE("=m9v"),  SLICE("Zm9\xff"),  SLICE("Zm9vYmF@"),
	};
	struct buffer b;
	buffer_init(&b, 100);
	buffer_append(&b, SLICE("here"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!base64_decode(wrong[i], &b), "%.*s", SLICE_FMT(wrong[i]));
		ck_assert(slice_equal(buffer_slice(&b), SLICE("here")));
	}
	buffer_free(&b);
}
END_TEST

START_TEST(base64_stops_at_the_limit_with_nothing_appended)
{
	struct buffer b;
	buffer_init(&b, 9);
	buffer_append(&b, SLICE("ab"));
	ck_assert(!base64_encode(SLICE("foobar"), &b));
	ck_assert(!base64_decode(SLICE("Zm9vYmFyZm9v"), &b));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("ab")));
	ck_assert(base64_encode(SLICE("foo"), &b));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("abZm9v")));
	buffer_free(&b);
}
END_TEST

START_TEST(base64_brings_random_octets_back)
{
	struct buffer coded, plain;
	char data[200];
	buffer_init(&coded, 1000);
	buffer_init(&plain, 1000);
	srand(9);
	for (int i = 0; i < 5000; i++) {
		size_t n = (size_t)rand() % sizeof(data);
		for (size_t k = 0; k < n; k++)
			data[k] = (char)rand();
		buffer_reset(&coded);
		buffer_reset(&plain);
		ck_assert(base64_encode(slice_make(data, n), &coded));
		ck_assert_uint_eq(coded.len, (n + 2) / 3 * 4);
		ck_assert(base64_decode(buffer_slice(&coded), &plain));
		ck_assert(slice_equal(buffer_slice(&plain), slice_make(data, n)));
	}
	buffer_free(&coded);
	buffer_free(&plain);
}
END_TEST

/* RFC 3629 3, written down naively: decodes, then looks whether the shortest form was used. */
static bool naive_valid(const uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = p[at] < 0x80	  ? 1
			   : p[at] < 0xc0 ? 0
			   : p[at] < 0xe0 ? 2
			   : p[at] < 0xf0 ? 3
			   : p[at] < 0xf8 ? 4
					  : 0;
		if (n == 0 || at + n > len)
			return false;
		uint32_t c = n == 1 ? p[at] : p[at] & (0x7f >> n);
		for (size_t i = 1; i < n; i++) {
			if (p[at + i] >> 6 != 2)
				return false;
			c = c << 6 | (p[at + i] & 0x3f);
		}
		if ((n == 2 && c < 0x80) || (n == 3 && c < 0x800) || (n == 4 && c < 0x10000) ||
		    c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		at += n;
	}
	return true;
}

START_TEST(utf8_agrees_with_the_definition)
{
	static const uint8_t edges[] = {
	    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
	    0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
	};
	enum { EDGES = sizeof(edges) };
	uint8_t text[4];
	for (int i = 0; i < EDGES * EDGES * EDGES * EDGES; i++) {
		text[0] = edges[i % EDGES];
		text[1] = edges[i / EDGES % EDGES];
		text[2] = edges[i / EDGES / EDGES % EDGES];
		text[3] = edges[i / EDGES / EDGES / EDGES];
		for (size_t len = i % 4 == 0 ? 1 : 4; len <= 4; len++)
			if (utf8_valid(slice_make(text, len)) != naive_valid(text, len))
				ck_abort_msg("%02x %02x %02x %02x of %zu", text[0], text[1],
					     text[2], text[3], len);
	}
	ck_assert(utf8_valid(SLICE_EMPTY));
	ck_assert_uint_eq(utf8_length(SLICE_EMPTY), 0);
	ck_assert_uint_eq(utf8_length(SLICE("\0")), 1);
	ck_assert_uint_eq(utf8_length(SLICE("\xe2\x82\xac.")), 3);
}
END_TEST

START_TEST(one_octet_spoils_a_text_wherever_it_is)
{
	char text[70];
	for (size_t len = 0; len < sizeof(text); len++) {
		memset(text, 'a', sizeof(text));
		ck_assert(ascii_only(slice_make(text, len)));
		ck_assert(utf8_valid(slice_make(text, len)));
		for (size_t at = 0; at < len; at++) {
			text[at] = (char)0x80;
			ck_assert(!ascii_only(slice_make(text, len)));
			ck_assert(!utf8_valid(slice_make(text, len)));
			text[at] = 'a';
		}
	}
	ck_assert(ascii_only(SLICE_EMPTY));
}
END_TEST

START_TEST(numbers_are_written_like_printf_does)
{
	uint64_t cases[] = {0, 9, UINT64_MAX, UINT64_MAX - 1, [4 ... 42] = 1};
	char text[DECIMAL_MAX], want[DECIMAL_MAX + 1];
	for (int i = 4; i + 2 <= 42; i += 2) { /* each power of ten, and what is one less */
		cases[i + 2] = cases[i] * 10;
		cases[i + 1] = cases[i + 2] - 1;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(want, sizeof(want), "%" PRIu64, cases[i]);
		size_t len = decimal_write(cases[i], text);
		ck_assert_msg(slice_equal(slice_make(text, len), slice_str(want)), "%s", want);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("encode");
	TCase *c = tcase_create("encode");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, hex_goes_both_ways);
	tcase_add_test(c, base64_gives_the_vectors_of_rfc_4648);
	tcase_add_test(c, base64_refuses_liberties);
	tcase_add_test(c, base64_stops_at_the_limit_with_nothing_appended);
	tcase_add_test(c, base64_brings_random_octets_back);
	tcase_add_test(c, utf8_agrees_with_the_definition);
	tcase_add_test(c, one_octet_spoils_a_text_wherever_it_is);
	tcase_add_test(c, numbers_are_written_like_printf_does);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
