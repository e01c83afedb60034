/* twin: what the digest is, whichever way it is computed and however the octets come. */
#include <check.h>
#include <stdlib.h>

#include "queue/store/twin.h"

enum { LONGEST = 70000 };

static uint8_t octets[LONGEST];

static void begin(void)
{
	srandom(11);
	for (size_t i = 0; i < LONGEST; i++)
		octets[i] = (uint8_t)random();
}

/* As twin.h words it. */
static void by_the_book(size_t len, uint8_t out[DIGEST_SIZE])
{
	static uint8_t lane[2][LONGEST];
	size_t lens[2] = {0, 0};
	uint8_t both[2][DIGEST_SIZE];
	struct digest d;
	for (size_t at = 0; at < len; at += TWIN_BLOCK) {
		size_t n = len - at < TWIN_BLOCK ? len - at : TWIN_BLOCK;
		int which = at / TWIN_BLOCK % 2 != 0;
		memcpy(lane[which] + lens[which], octets + at, n);
		lens[which] += n;
	}
	digest_init(&d);
	for (int i = 0; i < 2; i++) {
		digest_add(&d, slice_make((const char *)lane[i], lens[i]));
		digest_end(&d, both[i]);
	}
	digest_add(&d, slice_make((const char *)both, sizeof(both)));
	digest_end(&d, out);
	digest_free(&d);
}

static void by_pieces(bool plain, size_t len, size_t piece, uint8_t out[DIGEST_SIZE])
{
	struct twin t;
	if (plain)
		twin_init_plain(&t);
	else
		twin_init(&t);
	for (size_t at = 0; at < len; at += piece)
		twin_add(
		    &t, slice_make((const char *)octets + at, len - at < piece ? len - at : piece));
	twin_end(&t, out);
	twin_free(&t);
}

static void assert_all_equal(size_t len, size_t piece)
{
	uint8_t right[DIGEST_SIZE], found[DIGEST_SIZE];
	by_the_book(len, right);
	for (int plain = 0; plain < 2; plain++) {
		by_pieces(plain != 0, len, piece, found);
		ck_assert_msg(memcmp(found, right, DIGEST_SIZE) == 0,
			      "%zu octets in pieces of %zu, %s", len, piece,
			      plain ? "by OpenSSL" : "as the processor can");
	}
}

START_TEST(both_ways_give_the_digest_that_the_header_words)
{
	for (size_t len = 0; len <= 6 * TWIN_BLOCK; len++)
		assert_all_equal(len, LONGEST);
	assert_all_equal(65536, LONGEST);
	assert_all_equal(LONGEST, LONGEST);
}
END_TEST

START_TEST(how_the_octets_come_makes_no_difference)
{
	static const size_t lens[] = {1, 63, 64, 65, 119, 120, 127, 128, 129, 300, 5000, LONGEST};
	static const size_t pieces[] = {1, 7, 63, 64, 65, 127, 128, 129, 1000, 4096};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++)
			assert_all_equal(lens[i], pieces[k]);
}
END_TEST

START_TEST(an_octet_changed_or_moved_is_seen)
{
	uint8_t right[DIGEST_SIZE], found[DIGEST_SIZE];
	by_pieces(false, 1000, 1000, right);
	for (size_t at = 0; at < 1000; at++) {
		octets[at] ^= 1;
		by_pieces(false, 1000, 1000, found);
		ck_assert_mem_ne(found, right, DIGEST_SIZE);
		octets[at] ^= 1;
	}
	for (size_t at = 0; at < TWIN_BLOCK; at++) { /* two blocks in each other's place */
		uint8_t kept = octets[at];
		octets[at] = octets[at + TWIN_BLOCK];
		octets[at + TWIN_BLOCK] = kept;
	}
	by_pieces(false, 1000, 1000, found);
	ck_assert_mem_ne(found, right, DIGEST_SIZE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("twin");
	TCase *c = tcase_create("digest");
	tcase_add_checked_fixture(c, begin, NULL);
	tcase_add_test(c, both_ways_give_the_digest_that_the_header_words);
	tcase_add_test(c, how_the_octets_come_makes_no_difference);
	tcase_add_test(c, an_octet_changed_or_moved_is_seen);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
