/* arena: alignment, the limit, and that no two pieces overlap. */
#include <check.h>
#include <stdalign.h>

#include "common/base/arena.h"

START_TEST(hands_out_aligned_pieces_that_do_not_overlap)
{
	struct arena a;
	char *pieces[300];
	arena_init(&a, SIZE_MAX);
	for (size_t i = 0; i < 300; i++) {
		size_t size = i * i % 4001;
		pieces[i] = arena_get(&a, size);
		ck_assert_ptr_nonnull(pieces[i]);
		ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
		if (size > 0)
			memset(pieces[i], (int)(i & 0x7f), size);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t k = 0; k < i * i % 4001; k++)
			ck_assert_int_eq(pieces[i][k], (int)(i & 0x7f));
	arena_free(&a);
}
END_TEST

START_TEST(stops_at_the_limit_and_starts_anew)
{
	struct arena a;
	arena_init(&a, 100);
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_null(arena_get(&a, 101));
		ck_assert_ptr_null(arena_get(&a, SIZE_MAX));
		ck_assert_ptr_nonnull(arena_get(&a, 100));
		ck_assert_uint_eq(a.used, 100);
		ck_assert_ptr_null(arena_get(&a, 1));
		ck_assert_ptr_null(arena_get(&a, 0));
		arena_reset(&a);
		ck_assert_ptr_null(a.blocks);
	}
	size_t count = 0;
	while (arena_get(&a, 0))
		count++;
	ck_assert_uint_le(count, 100);
	arena_free(&a);
}
END_TEST

START_TEST(copies_with_a_nul_behind)
{
	struct arena a;
	arena_init(&a, 64);
	struct slice s = arena_copy(&a, SLICE("a\0b"));
	ck_assert(slice_equal(s, SLICE("a\0b")));
	ck_assert_int_eq(s.ptr[3], '\0');
	s = arena_copy(&a, SLICE_EMPTY);
	ck_assert(s.ptr && s.len == 0 && s.ptr[0] == '\0');
	ck_assert_ptr_null(arena_copy(&a, slice_make("", SIZE_MAX)).ptr);
	char long_text[64] = {0};
	ck_assert_ptr_null(arena_copy(&a, slice_make(long_text, 64)).ptr);
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *c = tcase_create("arena");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, hands_out_aligned_pieces_that_do_not_overlap);
	tcase_add_test(c, stops_at_the_limit_and_starts_anew);
	tcase_add_test(c, copies_with_a_nul_behind);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
