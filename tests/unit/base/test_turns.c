/*
 * turns: who is next, and who has to wait for himself.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/turns.h"

enum { MOST = 20, STRANGERS = 12, EACH = 5 };
#define ALICE SLICE("alice")
#define BOB   SLICE("bob")
#define EVE   SLICE("eve")

struct job {
	struct turn turn; /* first */
	const char *name;
};

static struct turns *turns;
static char order[100];

static void setup(void)
{
	turns = turns_new(MOST, STRANGERS, EACH);
	order[0] = '\0';
}

static bool add(struct slice party, bool known, const char *name)
{
	struct job *j = malloc(sizeof(*j));
	j->name = name;
	bool fits = turns_add(turns, party, known, &j->turn);
	if (!fits)
		free(j);
	return fits;
}

static unsigned add_all(struct slice party, bool known, const char *name)
{
	unsigned n = 0;
	while (add(party, known, name))
		n++;
	return n;
}

static const char *taken(void)
{
	struct job *j;
	while ((j = (struct job *)turns_take(turns))) {
		strncat(order, j->name, sizeof(order) - strlen(order) - 1);
		free(j);
	}
	return order;
}

START_TEST(parties_take_turns_and_each_has_its_own_order)
{
	ck_assert(add(EVE, false, "1") && add(EVE, false, "2") && add(EVE, false, "3"));
	ck_assert(add(BOB, false, "a") && add(BOB, false, "b"));
	ck_assert_str_eq(taken(), "1a2b3");
	ck_assert_ptr_null(turns_take(turns));
}
END_TEST

START_TEST(one_party_has_so_many_places_and_no_more)
{
	ck_assert_uint_eq(add_all(EVE, false, "e"), EACH);
	ck_assert(add(BOB, false, "b"));
	ck_assert_str_eq(taken(), "ebeeee");
	ck_assert_uint_eq(add_all(EVE, false, "e"), EACH);
	taken();
}
END_TEST

START_TEST(strangers_never_have_all_places)
{
	char name[2] = "a";
	for (; add(slice_make(name, 1), false, "s"); name[0]++)
		;
	ck_assert_uint_eq(name[0] - 'a', STRANGERS);
	ck_assert(add(ALICE, true, "k"));
	ck_assert_int_eq(taken()[0], 'k');
}
END_TEST

START_TEST(the_known_go_first_but_for_each_fourth_turn)
{
	add_all(EVE, false, "e");
	add_all(ALICE, true, "a");
	add_all(BOB, true, "b");
	ck_assert_str_eq(taken(), "abaebabeabaebee");
}
END_TEST

START_TEST(a_name_is_one_party_among_the_known_and_another_among_strangers)
{
	ck_assert_uint_eq(add_all(ALICE, false, "s"), EACH);
	ck_assert_uint_eq(add_all(ALICE, true, "k"), EACH);
	ck_assert_str_eq(taken(), "kkkskkssss");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("turns");
	TCase *t = tcase_create("turns");
	SRunner *sr = srunner_create(s);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, parties_take_turns_and_each_has_its_own_order);
	tcase_add_test(t, one_party_has_so_many_places_and_no_more);
	tcase_add_test(t, strangers_never_have_all_places);
	tcase_add_test(t, the_known_go_first_but_for_each_fourth_turn);
	tcase_add_test(t, a_name_is_one_party_among_the_known_and_another_among_strangers);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
