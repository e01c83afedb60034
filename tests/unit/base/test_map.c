/* map and idmap: what is put is found, through growth, removal in the middle of runs, and walks
 * that remove. Each runs beside a plain array that says what should be there. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/map.h"

enum { KEYS = 3000 };

static char names[KEYS][12];
static bool there[KEYS];
static int walked[KEYS];
static int values[2 * KEYS];

static struct slice name(size_t i)
{
	snprintf(names[i], sizeof(names[i]), "key%zu", i);
	return slice_str(names[i]);
}

START_TEST(a_map_finds_what_was_put)
{
	struct map *m = map_new();
	ck_assert_ptr_null(map_get(m, SLICE("a")));
	ck_assert_ptr_null(map_remove(m, SLICE("a")));
	ck_assert_ptr_null(map_put(m, SLICE("a"), &values[1]));
	ck_assert_ptr_null(map_put(m, SLICE("a\0"), &values[2]));
	ck_assert_ptr_null(map_put(m, SLICE_EMPTY, &values[3]));
	ck_assert_ptr_eq(map_get(m, SLICE("a")), &values[1]);
	ck_assert_ptr_eq(map_get(m, SLICE("a\0")), &values[2]);
	ck_assert_ptr_eq(map_get(m, SLICE("")), &values[3]);
	ck_assert_ptr_null(map_get(m, SLICE("A")));
	ck_assert_ptr_eq(map_put(m, SLICE("a"), &values[4]), &values[1]);
	ck_assert_uint_eq(map_count(m), 3);
	ck_assert_ptr_eq(map_remove(m, SLICE("a")), &values[4]);
	ck_assert_ptr_null(map_get(m, SLICE("a")));
	ck_assert_uint_eq(map_count(m), 2);
	map_free(&m);
	ck_assert_ptr_null(m);
	map_free(&m);
}
END_TEST

START_TEST(a_put_replaces_the_key_too)
{
	struct map *m = map_new();
	char first[] = "key", second[] = "key";
	map_put(m, slice_str(first), &values[1]);
	map_put(m, slice_str(second), &values[2]);
	memset(first, 'x', 3);
	ck_assert_ptr_eq(map_get(m, SLICE("key")), &values[2]);
	map_free(&m);
}
END_TEST

START_TEST(a_map_agrees_with_an_array)
{
	struct map *m = map_new();
	size_t count = 0;
	srand(2);
	for (int step = 0; step < 200000; step++) {
		size_t i = (size_t)rand() % (step < 100000 ? KEYS : 40);
		if (rand() % 2) {
			ck_assert_ptr_eq(map_put(m, name(i), &values[i]),
					 there[i] ? &values[i] : NULL);
			count += !there[i];
			there[i] = true;
		} else {
			ck_assert_ptr_eq(map_remove(m, name(i)), there[i] ? &values[i] : NULL);
			count -= there[i];
			there[i] = false;
		}
		i = (size_t)rand() % KEYS;
		ck_assert_ptr_eq(map_get(m, name(i)), there[i] ? &values[i] : NULL);
		ck_assert_uint_eq(map_count(m), count);
	}
	map_free(&m);
}
END_TEST

/* Removes every `every`th entry while walking (0: none); each entry must come exactly once. */
static void walk_map(size_t entries, size_t every)
{
	struct map *m = map_new();
	struct slice key;
	void *value;
	size_t at = 0, given = 0, removed = 0;
	memset(walked, 0, sizeof(walked));
	for (size_t i = 0; i < entries; i++)
		map_put(m, name(i), &values[i]);
	while (map_next(m, &at, &key, &value)) {
		size_t i = (size_t)((int *)value - values);
		ck_assert(slice_equal(key, name(i)));
		walked[i]++;
		given++;
		if (every > 0 && given % every == 0) {
			ck_assert_ptr_eq(map_remove(m, key), value);
			removed++;
		}
	}
	ck_assert_uint_eq(given, entries);
	for (size_t i = 0; i < entries; i++)
		ck_assert_int_eq(walked[i], 1);
	ck_assert_uint_eq(map_count(m), entries - removed);
	map_free(&m);
}

START_TEST(a_walk_gives_each_entry_once_even_while_removing)
{
	for (size_t entries = 0; entries < KEYS; entries = entries * 5 / 4 + 1)
		for (size_t every = 0; every < 4; every++)
			walk_map(entries, every);
}
END_TEST

START_TEST(an_idmap_finds_what_was_put)
{
	struct idmap *m = idmap_new();
	ck_assert_ptr_null(idmap_get(m, 1));
	ck_assert_ptr_null(idmap_remove(m, 1));
	ck_assert_ptr_null(idmap_put(m, 1, &values[1]));
	ck_assert_ptr_null(idmap_put(m, UINT64_MAX, &values[2]));
	ck_assert_ptr_eq(idmap_get(m, 1), &values[1]);
	ck_assert_ptr_eq(idmap_get(m, UINT64_MAX), &values[2]);
	ck_assert_ptr_null(idmap_get(m, 0));
	ck_assert_ptr_null(idmap_remove(m, 0));
	ck_assert_ptr_eq(idmap_put(m, 1, &values[3]), &values[1]);
	ck_assert_ptr_eq(idmap_remove(m, 1), &values[3]);
	ck_assert_ptr_null(idmap_remove(m, 1));
	ck_assert_uint_eq(idmap_count(m), 1);
	idmap_free(&m);
	ck_assert_ptr_null(m);
	idmap_free(&m);
}
END_TEST

/* Ids as they come: counters in the low bits, or the same low bits with other high ones. */
static void compare_idmap(size_t range, unsigned shift)
{
	struct idmap *m = idmap_new();
	size_t count = 0;
	memset(there, 0, sizeof(there));
	for (int step = 0; step < 100000; step++) {
		size_t i = (size_t)rand() % range;
		uint64_t id = (uint64_t)(i + 1) << shift;
		if (rand() % 2) {
			ck_assert_ptr_eq(idmap_put(m, id, &values[i]),
					 there[i] ? &values[i] : NULL);
			count += !there[i];
			there[i] = true;
		} else {
			ck_assert_ptr_eq(idmap_remove(m, id), there[i] ? &values[i] : NULL);
			count -= there[i];
			there[i] = false;
		}
		i = (size_t)rand() % range;
		ck_assert_ptr_eq(idmap_get(m, (uint64_t)(i + 1) << shift),
				 there[i] ? &values[i] : NULL);
		ck_assert_uint_eq(idmap_count(m), count);
	}
	idmap_free(&m);
}

START_TEST(an_idmap_agrees_with_an_array)
{
	srand(3);
	compare_idmap(KEYS, 0);
	compare_idmap(KEYS, 40);
	compare_idmap(12, 0); /* the smallest table at its fullest: long runs that wrap */
	compare_idmap(24, 7);
}
END_TEST

static void walk_idmap(size_t entries, size_t every)
{
	struct idmap *m = idmap_new();
	uint64_t id;
	void *value;
	size_t at = 0, given = 0, removed = 0;
	memset(walked, 0, sizeof(walked));
	for (size_t i = 0; i < entries; i++)
		idmap_put(m, i + 1, &values[i]);
	while (idmap_next(m, &at, &id, &value)) {
		ck_assert_ptr_eq(value, &values[id - 1]);
		walked[id - 1]++;
		given++;
		if (every > 0 && given % every == 0) {
			ck_assert_ptr_eq(idmap_remove(m, id), value);
			removed++;
		}
	}
	ck_assert_uint_eq(given, entries);
	for (size_t i = 0; i < entries; i++)
		ck_assert_int_eq(walked[i], 1);
	ck_assert_uint_eq(idmap_count(m), entries - removed);
	for (size_t i = 0; i < entries; i++)
		idmap_remove(m, i + 1);
	ck_assert_uint_eq(idmap_count(m), 0);
	idmap_free(&m);
}

START_TEST(a_walk_gives_each_id_once_even_while_removing)
{
	for (int again = 0; again < 50; again++)
		walk_idmap(12, 1);
	for (size_t entries = 0; entries < KEYS; entries = entries * 5 / 4 + 1)
		for (size_t every = 0; every < 4; every++)
			walk_idmap(entries, every);
}
END_TEST

START_TEST(a_map_takes_no_null_value) /* aborts */
{
	map_put(map_new(), SLICE("a"), NULL);
}
END_TEST

START_TEST(an_idmap_takes_no_id_0) /* aborts */
{
	idmap_put(idmap_new(), 0, &values[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map");
	TCase *c = tcase_create("map");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_map_finds_what_was_put);
	tcase_add_test(c, a_put_replaces_the_key_too);
	tcase_add_test(c, a_map_agrees_with_an_array);
	tcase_add_test(c, a_walk_gives_each_entry_once_even_while_removing);
	tcase_add_test(c, an_idmap_finds_what_was_put);
	tcase_add_test(c, an_idmap_agrees_with_an_array);
	tcase_add_test(c, a_walk_gives_each_id_once_even_while_removing);
	tcase_add_test_raise_signal(c, a_map_takes_no_null_value, SIGABRT);
	tcase_add_test_raise_signal(c, an_idmap_takes_no_id_0, SIGABRT);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
