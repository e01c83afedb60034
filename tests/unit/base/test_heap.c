/* heap: compared with sorting, and with a plain array under random use. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/heap.h"

enum { NODES = 2000 };

struct thing {
	int before;
	struct heap_node node;
};

static struct thing things[NODES];
static uint64_t keys[NODES];

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

START_TEST(gives_keys_in_order)
{
	struct heap h;
	heap_init(&h);
	ck_assert_ptr_null(heap_first(&h));
	srand(4);
	for (size_t i = 0; i < NODES; i++) {
		keys[i] = i % 5 ? (uint64_t)rand() << (rand() % 33) : (uint64_t)rand() % 7;
		heap_insert(&h, &things[i].node, keys[i]);
	}
	qsort(keys, NODES, sizeof(keys[0]), by_number);
	for (size_t i = 0; i < NODES; i++) {
		struct heap_node *n = heap_first(&h);
		ck_assert_uint_eq(n->key, keys[i]);
		heap_remove(&h, n);
		ck_assert_uint_eq(n->at, 0);
		heap_remove(&h, n); /* is in none: fine */
	}
	ck_assert_ptr_null(heap_first(&h));
	heap_free(&h);
}
END_TEST

static uint64_t smallest(void)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < 200; i++)
		if (things[i].node.at != 0 && things[i].node.key < least)
			least = things[i].node.key;
	return least;
}

START_TEST(keeps_order_under_random_use)
{
	struct heap h;
	heap_init(&h);
	srand(5);
	for (int step = 0; step < 50000; step++) {
		struct heap_node *n = &things[rand() % 200].node;
		uint64_t key = (uint64_t)rand() % 1000;
		if (rand() % 3 == 0)
			heap_remove(&h, n);
		else
			heap_move(&h, n, key);
		struct heap_node *first = heap_first(&h);
		ck_assert_uint_eq(first ? first->key : UINT64_MAX, smallest());
	}
	heap_free(&h);
	for (size_t i = 0; i < 200; i++)
		ck_assert_uint_eq(things[i].node.at, 0);
}
END_TEST

START_TEST(finds_the_struct_around_a_node)
{
	struct heap_node *n = &things[7].node;
	ck_assert_ptr_eq(container_of(n, struct thing, node), &things[7]);
}
END_TEST

START_TEST(panics_when_a_node_comes_twice) /* aborts */
{
	struct heap h;
	heap_init(&h);
	heap_insert(&h, &things[0].node, 1);
	heap_insert(&h, &things[0].node, 1);
}
END_TEST

START_TEST(panics_at_a_node_of_another_heap) /* aborts */
{
	struct heap h, other;
	heap_init(&h);
	heap_init(&other);
	heap_insert(&h, &things[0].node, 1);
	heap_insert(&other, &things[1].node, 1);
	heap_remove(&other, &things[0].node);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heap");
	TCase *c = tcase_create("heap");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, gives_keys_in_order);
	tcase_add_test(c, keeps_order_under_random_use);
	tcase_add_test(c, finds_the_struct_around_a_node);
	tcase_add_test_raise_signal(c, panics_when_a_node_comes_twice, SIGABRT);
	tcase_add_test_raise_signal(c, panics_at_a_node_of_another_heap, SIGABRT);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
