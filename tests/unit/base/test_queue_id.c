/* queue_id: one text for each id and one id for each text. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/queue_id.h"

static const uint32_t most_spool = (1u << QUEUE_ID_SPOOL_BITS) - 1;
static const uint32_t most_incarnation = (1u << QUEUE_ID_INCARNATION_BITS) - 1;
static const uint32_t most_counter = (1u << QUEUE_ID_COUNTER_BITS) - 1;

static void check_round_trip(uint64_t id)
{
	char text[QUEUE_ID_LEN + 1];
	uint64_t back = 0;
	queue_id_text(id, text);
	ck_assert_uint_eq(strlen(text), QUEUE_ID_LEN);
	ck_assert_uint_eq(strspn(text, "0123456789BCDFGHJKLMNPQRSTVWXYZ"), QUEUE_ID_LEN);
	ck_assert(queue_id_parse(slice_str(text), &back));
	ck_assert_uint_eq(back, id);
	slice_lower(slice_str(text), text);
	back = 0;
	ck_assert(queue_id_parse(slice_str(text), &back));
	ck_assert_uint_eq(back, id);
}

START_TEST(an_id_comes_back_from_its_text)
{
	ck_assert(!queue_id_possible(0));
	ck_assert(queue_id_possible(1));
	ck_assert(queue_id_possible(queue_id_make(most_spool, most_incarnation, most_counter)));
	ck_assert(!queue_id_possible(UINT64_C(1) << 59));
	check_round_trip(queue_id_make(0, 0, 1));
	check_round_trip(queue_id_make(most_spool, most_incarnation, most_counter));
	srand(7);
	for (int i = 0; i < 100000; i++) {
		uint64_t id = queue_id_make((uint32_t)rand() & most_spool,
					    (uint32_t)rand() & most_incarnation,
					    ((uint32_t)rand() & most_counter) | 1);
		check_round_trip(id);
	}
}
END_TEST

START_TEST(parts_do_not_overlap)
{
	ck_assert_uint_eq(queue_id_make(0, 0, most_counter) + 1, queue_id_make(0, 1, 0));
	ck_assert_uint_eq(queue_id_make(0, most_incarnation, most_counter) + 1,
			  queue_id_make(1, 0, 0));
	ck_assert_uint_eq(queue_id_make(most_spool, most_incarnation, most_counter) + 1, UINT64_C(1)
											     << 59);
}
END_TEST

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

START_TEST(every_triple_has_an_id_of_its_own)
{
	enum { EACH = 40, ALL = EACH * EACH * EACH };
	static uint64_t ids[ALL];
	size_t n = 0;
	for (uint32_t i = 0; i < EACH; i++)
		for (uint32_t k = 0; k < EACH; k++)
			for (uint32_t m = 0; m < EACH; m++)
				ids[n++] =
				    queue_id_make(most_spool * i / EACH, most_incarnation - k,
						  most_counter / EACH * m + 1);
	qsort(ids, ALL, sizeof(ids[0]), by_number);
	for (n = 1; n < ALL; n++)
		ck_assert_uint_lt(ids[n - 1], ids[n]);
}
END_TEST

START_TEST(texts_sort_like_ids)
{
	char text[QUEUE_ID_LEN + 1], next[QUEUE_ID_LEN + 1];
	queue_id_text(1, text);
	for (uint64_t id = 2; id < UINT64_C(1) << 58; id += id / 3 + 1) {
		queue_id_text(id, next);
		ck_assert_str_lt(text, next);
		memcpy(text, next, sizeof(text));
	}
}
END_TEST

START_TEST(other_texts_are_no_ids)
{
	static const struct slice wrong[] = {
	    {NULL, 0},
	    SLICE(""),
	    SLICE("000000000000"), /* the id 0 */
	    SLICE("ZZZZZZZZZZZZ"), /* over 59 bits */
	    SLICE("00000000001"),
	    SLICE("0000000000001"),
	    SLICE("00000000000A"),
	    SLICE("00000000000a"),
	    SLICE("0000000000-1"),
	    SLICE(" 00000000001"),
	    SLICE("00000000001\0"),
	    SLICE("00000000001\n"),
	    SLICE("0000000000\xc3\xbc"),
	};
	uint64_t id = 42;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert(!queue_id_parse(wrong[i], &id));
	ck_assert_uint_eq(id, 42);
	ck_assert(queue_id_parse(SLICE("000000000001"), &id) && id == 1);
}
END_TEST

START_TEST(a_spool_that_is_too_large_is_our_bug) /* aborts */
{
	queue_id_make(most_spool + 1, 0, 1);
}
END_TEST

START_TEST(the_id_0_is_our_bug) /* aborts */
{
	queue_id_make(0, 0, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_id");
	TCase *c = tcase_create("queue_id");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_id_comes_back_from_its_text);
	tcase_add_test(c, parts_do_not_overlap);
	tcase_add_test(c, every_triple_has_an_id_of_its_own);
	tcase_add_test(c, texts_sort_like_ids);
	tcase_add_test(c, other_texts_are_no_ids);
	tcase_add_test_raise_signal(c, a_spool_that_is_too_large_is_our_bug, SIGABRT);
	tcase_add_test_raise_signal(c, the_id_0_is_our_bug, SIGABRT);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
