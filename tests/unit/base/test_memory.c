/* memory: never NULL, and loud where a size is wrong. */
#include <check.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"

START_TEST(gives_memory_of_every_size)
{
	for (size_t size = 0; size < 5000; size = size * 3 + 1) {
		char *p = memory_get(size);
		ck_assert_ptr_nonnull(p);
		if (size > 0)
			memset(p, 1, size);
		p = memory_resize(p, size + 10, 2);
		p[2 * (size + 10) - 1] = 1;
		memory_free(p);
		p = memory_zero(size, 2);
		for (size_t i = 0; i < 2 * size; i++)
			ck_assert_int_eq(p[i], 0);
		memory_free(p);
	}
	memory_free(NULL);
	memory_free(memory_resize(NULL, 0, 0));
}
END_TEST

static size_t resident(void)
{
	unsigned long whole = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu %lu", &whole, &pages), 2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Small pieces, of which the last one keeps the heap from shrinking by itself. */
START_TEST(gives_the_system_what_was_freed_between_others)
{
	enum { PIECES = 8192, SIZE = 2000 };
	static char *pieces[PIECES];
	for (size_t i = 0; i < PIECES; i++)
		memset(pieces[i] = memory_get(SIZE), 1, SIZE);
	bool ours = mallinfo2().arena > PIECES * SIZE; /* a sanitizer has a heap of its own */
	for (size_t i = 0; i < PIECES - 1; i++)
		memory_free(pieces[i]);
	size_t before = resident();
	memory_tidy();
	if (ours)
		ck_assert_uint_lt(resident() + PIECES * SIZE / 2, before);
	memory_tidy();
	memory_free(pieces[PIECES - 1]);
}
END_TEST

START_TEST(copies_strings)
{
	char *str = memory_string(SLICE("abc"));
	ck_assert_str_eq(str, "abc");
	memory_free(str);
	str = memory_string(SLICE_EMPTY);
	ck_assert_str_eq(str, "");
	memory_free(str);
}
END_TEST

START_TEST(refuses_a_product_that_overflows) /* aborts */
{
	memory_free(memory_zero(SIZE_MAX / 2, 3));
}
END_TEST

START_TEST(refuses_a_resize_that_overflows) /* aborts */
{
	memory_free(memory_resize(NULL, SIZE_MAX / 8 + 1, 8));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *c = tcase_create("memory");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, gives_memory_of_every_size);
	tcase_add_test(c, gives_the_system_what_was_freed_between_others);
	tcase_add_test(c, copies_strings);
	tcase_add_test_raise_signal(c, refuses_a_product_that_overflows, SIGABRT);
	tcase_add_test_raise_signal(c, refuses_a_resize_that_overflows, SIGABRT);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
