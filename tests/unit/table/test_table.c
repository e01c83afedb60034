/*
 * Tables: what each format takes, refuses and answers.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/os/disk.h"
#include "common/table/table.h"

struct answer {
	int calls;
	enum table_result result;
	char value[1024];
};

static void note(void *arg, enum table_result result, struct slice value)
{
	struct answer *a = arg;
	a->calls++;
	a->result = result;
	ck_assert(slice_copy(value, a->value, sizeof(a->value)));
}

static struct answer ask(struct table *t, const char *key)
{
	struct answer a = {0};
	table_lookup(t, slice_str(key), note, &a);
	ck_assert_int_eq(a.calls, 1);
	return a;
}

static struct table *open_table(const char *spec, enum table_use use)
{
	struct table *t;
	struct error e;
	ck_assert_msg(table_open(spec, use, &t, &e), "%s", e.text);
	return t;
}

static struct table *load(enum table_use use, const char *text)
{
	struct error e;
	struct table *t = open_table("file:/t", use);
	ck_assert_msg(table_load_text(t, slice_str(text), NULL, NULL, &e), "%s", e.text);
	return t;
}

/* The items of an alias, "a:bob@x c:prog". */
static const char *items(struct table *t, const char *key)
{
	static char text[2048];
	struct answer a = ask(t, key);
	struct table_alias item;
	struct slice value = slice_str(a.value);
	if (a.result != TABLE_FOUND)
		return a.result == TABLE_MISSING ? "missing" : "error";
	text[0] = '\0';
	while (table_alias_next(&value, &item)) {
		size_t len = strlen(text);
		snprintf(text + len, sizeof(text) - len, "%s%c:%.*s", len ? " " : "",
			 "acfi"[item.kind], SLICE_FMT(item.text));
	}
	return text;
}

static const char ALIASES[] = "# comment\n"
			      "postmaster: root\n"
			      "ROOT:\tAlice, bob@Example.ORG\n"
			      "list: a@x.example,\n"
			      "\n"
			      "   # a comment in between\n"
			      "\tb@x.example,\n"
			      "    c@x.example\r\n"
			      "\"john doe\": \"jane doe\"@x.example\n"
			      "sales@Example.org: carol\n"
			      "@catch.example: dave\n"
			      "prog: \"|/bin/prog -a, \\\"b\", | plain prog\n"
			      "file: /var/mail/file, \"/var/mail/two words\"\n"
			      "inc: :include:/etc/list , x\n"
			      "own: \\own, y,\n";

static const struct {
	const char *key, *items;
} ALIAS_CASES[] = {
    {"postmaster", "a:root"},
    {"root", "a:Alice a:bob@Example.ORG"},
    {"root@any.example", "a:Alice a:bob@Example.ORG"},
    {"list", "a:a@x.example a:b@x.example a:c@x.example"},
    {"\"john doe\"", "a:\"jane doe\"@x.example"},
    {"sales@example.org", "a:carol"},
    {"sales", "missing"},
    {"sales@other.example", "missing"},
    {"@catch.example", "a:dave"},
    {"who@catch.example", "missing"},
    {"@other.example", "missing"},
    {"prog", "c:/bin/prog -a, \\\"b c: plain prog"},
    {"file", "f:/var/mail/file f:/var/mail/two words"},
    {"inc", "i:/etc/list a:x"},
    {"own", "a:own a:y"},
};

START_TEST(reads_aliases)
{
	struct table *t = load(TABLE_ALIASES, ALIASES);
	ck_assert_str_eq(items(t, ALIAS_CASES[_i].key), ALIAS_CASES[_i].items);
	table_free(&t);
}
END_TEST

static const struct {
	enum table_use use;
	const char *text, *error;
} BAD_CASES[] = {
    {TABLE_ALIASES, "a: b\nno colon\n", "/t:2: there is no colon behind the name"},
    {TABLE_ALIASES, "  a: b\n", "/t:1: the line begins with a blank, but continues nothing"},
    {TABLE_ALIASES, "a: b\n\nc:\n", "/t:3: there is no target behind the colon"},
    {TABLE_ALIASES, "a: b\nc: d\n e f\n", "/t:2: target `d  e f`"},
    {TABLE_ALIASES, "a b: c\n", "/t:1: `a b`"},
    {TABLE_ALIASES, "@-bad-: c\n", "/t:1: `@-bad-`: what follows the @ is not a domain"},
    {TABLE_USERS, "alice\nbob bob\n", "/t:2: `bob bob`"},
    {TABLE_USERS, "alice:{PLAIN\n", "/t:1: the password scheme is not closed"},
    {TABLE_USERS, "alice:x:root\n", "/t:1: the third field is no user id"},
    {TABLE_USERS, "alice:x:1:-1\n", "/t:1: the fourth field is no group id"},
    {TABLE_USERS, "\"../x\"@a.example\n", "/t:1: `\"../x\"@a.example` can't name a mailbox"},
    {TABLE_USERS, "@example.org\n", "/t:1: `@example.org`"},
};

START_TEST(refuses_bad_lines)
{
	struct error e;
	struct table *t = open_table("file:/t", BAD_CASES[_i].use);
	ck_assert(!table_load_text(t, slice_str(BAD_CASES[_i].text), NULL, NULL, &e));
	ck_assert_int_eq(e.code, EX_DATAERR);
	ck_assert_msg(strncmp(e.text, BAD_CASES[_i].error, strlen(BAD_CASES[_i].error)) == 0, "%s",
		      e.text);
	ck_assert_int_eq(ask(t, "a").result, TABLE_ERROR);
	table_free(&t);
}
END_TEST

START_TEST(reads_users_as_dovecot_writes_them)
{
	struct table *t =
	    load(TABLE_USERS, "# users\n"
			      "alice\n"
			      "Bob@Example.org:{BLF-CRYPT}$2y$:5000:5001:Bob B:/home/bob:/bin/sh:"
			      "quota=1G x=y:z\n"
			      "carol:secret\r\n");
	struct table_user user;
	ck_assert_int_eq(ask(t, "alice@example.org").result, TABLE_FOUND);
	ck_assert_str_eq(ask(t, "alice@example.org").value, "");
	ck_assert_str_eq(ask(t, "carol@x.example").value, "secret");
	ck_assert_int_eq(ask(t, "bob@other.example").result, TABLE_MISSING);
	struct answer a = ask(t, "bob@example.org");
	ck_assert_int_eq(a.result, TABLE_FOUND);
	table_user_read(slice_str(a.value), &user);
	ck_assert(slice_equal(user.password, SLICE("{BLF-CRYPT}$2y$")));
	ck_assert(slice_equal(user.uid, SLICE("5000")));
	ck_assert(slice_equal(user.gid, SLICE("5001")));
	ck_assert(slice_equal(user.home, SLICE("/home/bob")));
	ck_assert(slice_equal(user.extra, SLICE("quota=1G x=y:z")));
	ck_assert_uint_eq(table_count(t), 3);
	table_free(&t);
}
END_TEST

START_TEST(reads_plain_pairs)
{
	struct table *t = load(TABLE_PLAIN, "# c\nKey  a value \nonly\n");
	ck_assert_str_eq(ask(t, "key").value, "a value");
	ck_assert_int_eq(ask(t, "only").result, TABLE_FOUND);
	ck_assert_int_eq(ask(t, "none").result, TABLE_MISSING);
	table_free(&t);
}
END_TEST

START_TEST(answers_error_before_the_first_load)
{
	struct table *t = open_table("file:/t", TABLE_USERS);
	ck_assert(!table_loaded(t));
	ck_assert_int_eq(ask(t, "alice").result, TABLE_ERROR);
	table_free(&t);
}
END_TEST

START_TEST(keeps_the_old_content_when_the_new_is_bad)
{
	struct error e;
	struct table *t = load(TABLE_USERS, "alice\n");
	ck_assert(!table_load_text(t, SLICE("bob\nbad bad\n"), NULL, NULL, &e));
	ck_assert_int_eq(ask(t, "alice").result, TABLE_FOUND);
	ck_assert_int_eq(ask(t, "bob").result, TABLE_MISSING);
	ck_assert(table_load_text(t, SLICE("bob\n"), NULL, NULL, &e));
	ck_assert_int_eq(ask(t, "alice").result, TABLE_MISSING);
	ck_assert_int_eq(ask(t, "bob").result, TABLE_FOUND);
	table_free(&t);
}
END_TEST

static void reload_in_answer(void *arg, enum table_result result, struct slice value)
{
	struct table *t = arg;
	struct error e;
	ck_assert_int_eq(result, TABLE_FOUND);
	ck_assert(table_load_text(t, SLICE("bob:new\n"), NULL, NULL, &e));
	ck_assert(slice_equal(value, SLICE("old")));
}

START_TEST(an_answer_outlives_a_reload)
{
	struct table *t = load(TABLE_USERS, "alice:old\n");
	table_lookup(t, SLICE("alice"), reload_in_answer, t);
	ck_assert_int_eq(ask(t, "alice").result, TABLE_MISSING);
	table_free(&t);
}
END_TEST

struct heard {
	int bad, warnings;
	char last[ERROR_TEXT_SIZE];
};

static void hear(void *arg, bool warning, const char *text)
{
	struct heard *h = arg;
	h->bad += !warning;
	h->warnings += warning;
	snprintf(h->last, sizeof(h->last), "%s", text);
}

START_TEST(reports_every_bad_line_but_no_more_than_twenty)
{
	struct error e;
	struct heard h = {0};
	struct buffer text;
	struct table *t = open_table("file:/t", TABLE_USERS);
	buffer_init(&text, 10000);
	for (int i = 0; i < 50; i++)
		buffer_printf(&text, "bad %d\n", i);
	ck_assert(!table_load_text(t, buffer_slice(&text), hear, &h, &e));
	ck_assert_int_eq(h.bad, TABLE_BAD_LINES_MAX);
	ck_assert(slice_starts(slice_str(e.text), SLICE("/t:1: ")));
	ck_assert(slice_starts(slice_str(h.last), SLICE("/t:20: ")));
	buffer_free(&text);
	table_free(&t);
}
END_TEST

START_TEST(warns_of_double_names_and_unsupported_targets)
{
	struct error e;
	struct heard h = {0};
	struct table *t = open_table("file:/t", TABLE_ALIASES);
	ck_assert(table_load_text(t, SLICE("a: b\nA: c\np: |prog\n"), hear, &h, &e));
	ck_assert_int_eq(h.bad, 0);
	ck_assert_int_eq(h.warnings, 2);
	ck_assert_ptr_nonnull(strstr(h.last, "/t:3: p: target `|prog` is not supported"));
	ck_assert_str_eq(items(t, "a"), "a:b");
	table_free(&t);
}
END_TEST

START_TEST(reads_routes_and_what_mailman_writes)
{
	struct error e;
	struct heard h = {0};
	struct table *t = open_table("file:/t", TABLE_ROUTES);
	ck_assert(table_load_text(t,
				  SLICE("# AUTOMATICALLY GENERATED BY MAILMAN ON 2026-01-01\n"
					"list@example.org               lmtp:[127.0.0.1]:8024\n"
					"\n"
					"Jo@example.org smtp:[Mail.example] b.example:587\n"
					"own@example.org\tsmtp:\n"
					"@example.org local\n"),
				  hear, &h, &e));
	ck_assert_int_eq(h.bad, 0);
	ck_assert_int_eq(h.warnings, 1);
	ck_assert_ptr_nonnull(strstr(h.last, "/t:2: list@example.org: lmtp: is not supported"));
	ck_assert_str_eq(ask(t, "list@example.org").value, "lmtp:[127.0.0.1]:8024");
	ck_assert_str_eq(ask(t, "jo@example.org").value, "smtp:[mail.example]:25 b.example:587");
	ck_assert_str_eq(ask(t, "own@example.org").value, "smtp:");
	ck_assert_str_eq(ask(t, "@example.org").value, "local");
	ck_assert(!table_load_text(t, SLICE("a@example.org error:no\n"), NULL, NULL, &e));
	ck_assert(!table_load_text(t, SLICE("a@example.org smtp:[x\n"), NULL, NULL, &e));
	table_free(&t);
}
END_TEST

START_TEST(refuses_lines_that_are_too_long_or_hold_a_nul)
{
	struct error e;
	struct buffer text;
	struct table *t = open_table("file:/t", TABLE_ALIASES);
	buffer_init(&text, SIZE_MAX / 4);
	buffer_printf(&text, "list: a@x.example");
	while (text.len <= TABLE_LINE_MAX)
		buffer_printf(&text, ",\n a@x.example");
	ck_assert(!table_load_text(t, buffer_slice(&text), NULL, NULL, &e));
	ck_assert_str_eq(e.text, "/t:1: the alias is longer than 1048576 octets");
	ck_assert(!table_load_text(t, SLICE("a: b\nc: d\0e\n"), NULL, NULL, &e));
	ck_assert_str_eq(e.text, "/t:2: there is a NUL in this line");
	buffer_free(&text);
	table_free(&t);
}
END_TEST

START_TEST(static_tables_stand_in_their_spec)
{
	struct table *t = open_table("static:Alice, bob@Example.org", TABLE_USERS);
	ck_assert_int_eq(ask(t, "alice@a.example").result, TABLE_FOUND);
	ck_assert_int_eq(ask(t, "bob@example.org").result, TABLE_FOUND);
	ck_assert_int_eq(ask(t, "bob@a.example").result, TABLE_MISSING);
	table_free(&t);
	t = open_table("static:root=alice bob,@x.example=carol", TABLE_ALIASES);
	ck_assert_str_eq(items(t, "root"), "a:alice a:bob");
	ck_assert_str_eq(items(t, "@x.example"), "a:carol");
	table_free(&t);
}
END_TEST

static const char *const BAD_SPECS[] = {
    "", "users", "files:/x", "file:", "static:a b", "static:a,a", "pgsql:x"};

START_TEST(refuses_bad_specs)
{
	struct table *t;
	struct error e;
	ck_assert(!table_open(BAD_SPECS[_i], TABLE_USERS, &t, &e));
	ck_assert_int_eq(e.code, EX_CONFIG);
	ck_assert_ptr_null(t);
}
END_TEST

START_TEST(a_spec_says_which_file_to_open)
{
	ck_assert_str_eq(table_spec_path("file:/etc/aliases"), "/etc/aliases");
	ck_assert_ptr_null(table_spec_path("static:a"));
	ck_assert_ptr_null(table_spec_path("nonsense"));
}
END_TEST

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(loads_a_million_users_in_seconds)
{
	enum { MILLION = 1000000 };
	struct error e;
	struct buffer text;
	char name[] = "/tmp/stagepost-test-table-XXXXXX", key[64];
	int fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	unlink(name);
	buffer_init(&text, SIZE_MAX / 4);
	for (int i = 0; i < MILLION; i++)
		buffer_printf(&text, "user%d@example%d.org:{PLAIN}secret:5000:5000::/m:\n", i,
			      i % 100);
	ck_assert_int_eq(disk_write(fd, text.data, text.len), 0);
	struct table *t = open_table("file:/t", TABLE_USERS);
	double before = seconds();
	ck_assert_msg(table_load_fd(t, fd, NULL, NULL, &e), "%s", e.text);
	double took = seconds() - before;
	printf("a million users: %.2f s\n", took);
	ck_assert_uint_eq(table_count(t), MILLION);
	for (int i = 0; i < MILLION; i += 1009) {
		snprintf(key, sizeof(key), "user%d@example%d.org", i, i % 100);
		ck_assert_int_eq(ask(t, key).result, TABLE_FOUND);
	}
	ck_assert_msg(took < 10, "%f seconds", took); /* 2 without a sanitizer, on a busy machine */
	table_free(&t);
	buffer_free(&text);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *cases = tcase_create("table");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, reads_aliases, 0, sizeof(ALIAS_CASES) / sizeof(ALIAS_CASES[0]));
	tcase_add_loop_test(cases, refuses_bad_lines, 0, sizeof(BAD_CASES) / sizeof(BAD_CASES[0]));
	tcase_add_test(cases, reads_users_as_dovecot_writes_them);
	tcase_add_test(cases, reads_plain_pairs);
	tcase_add_test(cases, answers_error_before_the_first_load);
	tcase_add_test(cases, keeps_the_old_content_when_the_new_is_bad);
	tcase_add_test(cases, an_answer_outlives_a_reload);
	tcase_add_test(cases, reports_every_bad_line_but_no_more_than_twenty);
	tcase_add_test(cases, warns_of_double_names_and_unsupported_targets);
	tcase_add_test(cases, reads_routes_and_what_mailman_writes);
	tcase_add_test(cases, refuses_lines_that_are_too_long_or_hold_a_nul);
	tcase_add_test(cases, static_tables_stand_in_their_spec);
	tcase_add_loop_test(cases, refuses_bad_specs, 0, sizeof(BAD_SPECS) / sizeof(BAD_SPECS[0]));
	tcase_add_test(cases, a_spec_says_which_file_to_open);
	tcase_add_test(cases, loads_a_million_users_in_seconds);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
