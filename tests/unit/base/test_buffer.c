/* buffer: the limit holds to the octet, and no content is lost by consuming and growing. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/buffer.h"

START_TEST(appends_up_to_the_limit)
{
	struct buffer b;
	buffer_init(&b, 5);
	ck_assert_uint_eq(buffer_slice(&b).len, 0);
	ck_assert(buffer_append(&b, SLICE("abc")));
	ck_assert(!buffer_append(&b, SLICE("def")));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("abc")));
	ck_assert(buffer_byte(&b, 'd') && buffer_byte(&b, 'e'));
	ck_assert(!buffer_byte(&b, 'f'));
	ck_assert(buffer_append(&b, SLICE_EMPTY));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("abcde")));
	buffer_consume(&b, 2);
	ck_assert(buffer_append(&b, SLICE("fg")));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("cdefg")));
	ck_assert(!buffer_byte(&b, 'h'));
	buffer_free(&b);
	buffer_init(&b, 0);
	ck_assert(!buffer_byte(&b, 'x'));
	ck_assert(buffer_append(&b, SLICE_EMPTY));
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(prints_up_to_the_limit)
{
	struct buffer b;
	buffer_init(&b, 10);
	ck_assert(buffer_printf(&b, "%d-%s", 12, "abc"));
	ck_assert(!buffer_printf(&b, "%s", "12345"));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("12-abc")));
	ck_assert(buffer_printf(&b, "%s", "1234"));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("12-abc1234")));
	ck_assert(buffer_printf(&b, "%s", ""));
	ck_assert(!buffer_printf(&b, "x"));
	buffer_free(&b);
	buffer_init(&b, SIZE_MAX);
	for (int i = 0; i < 500; i++)
		ck_assert(buffer_printf(&b, "%04d.%*s", i, i, ""));
	ck_assert_uint_eq(buffer_slice(&b).len, 500 * 5 + 499 * 500 / 2);
	ck_assert(slice_starts(slice_from(buffer_slice(&b), 5 + 6 + 7), SLICE("0003.   0004.")));
	buffer_free(&b);
}
END_TEST

START_TEST(reserves_room_at_the_tail)
{
	struct buffer b;
	size_t room;
	buffer_init(&b, 1000);
	char *p = buffer_reserve(&b, 300, &room);
	ck_assert(p && room >= 300 && room <= 1000);
	memset(p, 'x', 300);
	buffer_grew(&b, 300);
	p = buffer_reserve(&b, 5000, &room);
	ck_assert(p && room == 700);
	memset(p, 'y', room);
	buffer_grew(&b, room);
	ck_assert_ptr_null(buffer_reserve(&b, 1, &room));
	ck_assert_uint_eq(room, 0);
	buffer_consume(&b, 300);
	p = buffer_reserve(&b, 0, &room);
	ck_assert(p && room >= 1 && room <= 300);
	ck_assert_int_eq(buffer_slice(&b).ptr[0], 'y');
	buffer_free(&b);
}
END_TEST

START_TEST(gives_memory_back_when_idle)
{
	struct buffer b;
	buffer_init(&b, 100);
	buffer_byte(&b, 'x');
	buffer_release(&b);
	ck_assert_ptr_nonnull(b.data);
	buffer_consume(&b, 1);
	buffer_release(&b);
	ck_assert_ptr_null(b.data);
	ck_assert(buffer_append(&b, SLICE("again")));
	buffer_truncate(&b, 2);
	ck_assert(slice_equal(buffer_slice(&b), SLICE("ag")));
	buffer_reset(&b);
	ck_assert(b.data && buffer_slice(&b).len == 0);
	buffer_free(&b);
	buffer_free(&b);
}
END_TEST

/* A stream of counted octets goes through; what comes out is what went in. */
START_TEST(keeps_order_under_random_use)
{
	struct buffer b;
	uint8_t in = 0, out = 0, chunk[300];
	size_t wrong = 0;
	srand(1);
	buffer_init(&b, 777);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(chunk), room;
		for (size_t k = 0; k < n; k++)
			chunk[k] = (uint8_t)(in + k);
		bool fits = b.len + n <= 777;
		if (rand() % 2) {
			ck_assert_int_eq(buffer_append(&b, slice_make(chunk, n)), fits);
			in = (uint8_t)(in + (fits ? n : 0));
		} else {
			char *p = buffer_reserve(&b, n, &room);
			ck_assert_int_eq(p != NULL, b.len < 777);
			n = n < room ? n : room;
			if (p)
				memcpy(p, chunk, n);
			buffer_grew(&b, n);
			in = (uint8_t)(in + n);
		}
		n = (size_t)rand() % (b.len + 1);
		for (size_t k = 0; k < n; k++)
			wrong += (uint8_t)buffer_slice(&b).ptr[k] != out++;
		ck_assert_uint_eq(wrong, 0);
		buffer_consume(&b, n);
		ck_assert_uint_le(b.size, 778);
	}
	buffer_free(&b);
}
END_TEST

START_TEST(panics_when_more_is_consumed_than_there_is) /* aborts */
{
	struct buffer b;
	buffer_init(&b, 10);
	buffer_consume(&b, 1);
}
END_TEST

START_TEST(panics_when_more_was_written_than_had_room) /* aborts */
{
	struct buffer b;
	size_t room;
	buffer_init(&b, 10);
	buffer_reserve(&b, 10, &room);
	buffer_grew(&b, 11);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("buffer");
	TCase *c = tcase_create("buffer");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, appends_up_to_the_limit);
	tcase_add_test(c, prints_up_to_the_limit);
	tcase_add_test(c, reserves_room_at_the_tail);
	tcase_add_test(c, gives_memory_back_when_idle);
	tcase_add_test(c, keeps_order_under_random_use);
	tcase_add_test_raise_signal(c, panics_when_more_is_consumed_than_there_is, SIGABRT);
	tcase_add_test_raise_signal(c, panics_when_more_was_written_than_had_room, SIGABRT);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
