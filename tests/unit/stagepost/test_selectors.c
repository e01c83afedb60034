/*
 * Which messages an administrator means.
 */
#include <check.h>
#include <stdlib.h>
#include <sysexits.h>

#include "commands/stagepost/selectors.h"
#include "common/base/queue_id.h"

enum { WORDS_MAX = 10 };

static bool parse(struct selectors *s, enum selectors_use use, const char *const *words,
		  struct error *e)
{
	char *argv[WORDS_MAX + 2] = {(char *)"list"};
	int argc = 1;
	for (; argc <= WORDS_MAX && words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	return selectors_parse(s, use, argc, argv, e);
}

START_TEST(takes_every_selector)
{
	static const char *const words[WORDS_MAX + 1] = {
	    "--state",	  "hold",      "--from=<>", "--to",   "@example.org",
	    "--older=2h", "--limit=7", "--json",    "--user", "e@f.org"};
	struct selectors s;
	struct error e = {0};
	ck_assert_msg(parse(&s, SELECTORS_MUST, words, &e), "%s", e.text);
	ck_assert(slice_equal(s.ask.state, SLICE("hold")));
	ck_assert(slice_equal(s.ask.sender, SLICE("<>")));
	ck_assert(slice_equal(s.ask.recipient, SLICE("@example.org")));
	ck_assert(slice_equal(s.ask.user, SLICE("e@f.org")));
	ck_assert_uint_eq(s.ask.older, 7200);
	ck_assert_uint_eq(s.ask.limit, 7);
	ck_assert(s.json && !s.ask.all);
	ck_assert_uint_eq(s.id_count, 0);
	selectors_free(&s);
}
END_TEST

START_TEST(takes_several_ids_in_either_case)
{
	char upper[QUEUE_ID_LEN + 1], lower[QUEUE_ID_LEN + 1];
	const char *words[WORDS_MAX + 1] = {upper, "--json", lower};
	struct selectors s;
	struct error e = {0};
	queue_id_text(queue_id_make(1, 2, 3), upper);
	queue_id_text(queue_id_make(1, 2, 4), lower);
	slice_lower(slice_str(lower), lower);
	ck_assert_msg(parse(&s, SELECTORS_MUST, words, &e), "%s", e.text);
	ck_assert_uint_eq(s.id_count, 2);
	ck_assert_uint_eq(s.ids[0], queue_id_make(1, 2, 3));
	ck_assert_uint_eq(s.ids[1], queue_id_make(1, 2, 4));
	ck_assert(s.json);
	selectors_free(&s);
}
END_TEST

START_TEST(takes_the_brackets_off_an_address)
{
	static const char *const words[WORDS_MAX + 1] = {"--from", "<a@b.org>"};
	struct selectors s;
	struct error e = {0};
	ck_assert(parse(&s, SELECTORS_MUST, words, &e));
	ck_assert(slice_equal(s.ask.sender, SLICE("a@b.org")));
	selectors_free(&s);
}
END_TEST

START_TEST(lists_all_when_nothing_is_said)
{
	static const char *const words[WORDS_MAX + 1] = {NULL};
	static const char *const limit[WORDS_MAX + 1] = {"--limit", "3"};
	struct selectors s;
	struct error e = {0};
	ck_assert(parse(&s, SELECTORS_MAY, words, &e));
	ck_assert(s.ask.all);
	selectors_free(&s);
	ck_assert(parse(&s, SELECTORS_MAY, limit, &e));
	ck_assert(s.ask.all);
	selectors_free(&s);
}
END_TEST

static const struct {
	enum selectors_use use;
	const char *words[3];
} bad[] = {
    {SELECTORS_MUST, {NULL}},		/* a verb that changes must be told */
    {SELECTORS_MUST, {"--limit", "1"}}, /* that is no choice */
    {SELECTORS_MUST, {"--json"}},	/* nor that */
    {SELECTORS_MAY, {"--state", "gone"}},
    {SELECTORS_MAY, {"--state"}},
    {SELECTORS_MAY, {"--from", ""}},
    {SELECTORS_MAY, {"--from", "@"}},
    {SELECTORS_MAY, {"--to", "<>"}}, /* nobody gets mail as the null sender */
    {SELECTORS_MAY, {"--older", "soon"}},
    {SELECTORS_MAY, {"--older", "0s"}},
    {SELECTORS_MAY, {"--limit", "0"}},
    {SELECTORS_MAY, {"--limit", "-1"}},
    {SELECTORS_MAY, {"NOTANID"}},
    {SELECTORS_MAY, {"--frm", "a@b"}},
    {SELECTORS_MAY, {"--all", "000000000001"}}, /* one or the other */
    {SELECTORS_NONE, {"--all"}},		/* verify is about all */
    {SELECTORS_NONE, {"--limit", "1"}},
};

START_TEST(refuses_what_it_does_not_understand)
{
	const char *words[WORDS_MAX + 1] = {bad[_i].words[0], bad[_i].words[1]};
	struct selectors s;
	struct error e = {0};
	ck_assert(!parse(&s, bad[_i].use, words, &e));
	ck_assert_int_eq(e.code, EX_USAGE);
	ck_assert_uint_gt(strlen(e.text), 0);
	selectors_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("selectors");
	TCase *t = tcase_create("selectors");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	tcase_add_test(t, takes_every_selector);
	tcase_add_test(t, takes_several_ids_in_either_case);
	tcase_add_test(t, takes_the_brackets_off_an_address);
	tcase_add_test(t, lists_all_when_nothing_is_said);
	tcase_add_loop_test(t, refuses_what_it_does_not_understand, 0,
			    sizeof(bad) / sizeof(bad[0]));
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
