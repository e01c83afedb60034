/*
 * Databases: what is built is found again, what is no database of ours, or not whole, is refused,
 * and a look-up needs nothing but to read the descriptor.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/os/disk.h"
#include "common/os/sandbox.h"
#include "common/table/table.h"

static char folder[64];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/stagepost-test-database-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(system(command), 0);
}

struct answer {
	int calls;
	enum table_result result;
	size_t len;
	char value[1024]; /* its beginning */
};

static void note(void *arg, enum table_result result, struct slice value)
{
	struct answer *a = arg;
	a->calls++;
	a->result = result;
	a->len = value.len;
	ck_assert(
	    slice_copy(slice_sub(value, 0, sizeof(a->value) - 1), a->value, sizeof(a->value)));
}

static struct answer ask(struct table *t, const char *key)
{
	struct answer a = {0};
	table_lookup(t, slice_str(key), note, &a);
	ck_assert_int_eq(a.calls, 1);
	return a;
}

static void build_slice(enum table_use use, struct slice text, const char *name)
{
	struct table *t;
	struct error e = {0};
	ck_assert(table_open("file:/t", use, &t, &e));
	ck_assert_msg(table_load_text(t, text, NULL, NULL, &e), "%s", e.text);
	ck_assert_msg(table_write_database(t, name, &e), "%s", e.text);
	table_free(&t);
}

static void build(enum table_use use, const char *text)
{
	build_slice(use, slice_str(text), "t.db");
}

static int open_file(const char *name)
{
	int fd = disk_open(AT_FDCWD, name, O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A table loaded from the file; NULL with the error. */
static struct table *try_load(const char *name, enum table_use use, struct error *e)
{
	struct table *t;
	int fd = open_file(name);
	ck_assert(table_open("db:/t.db", use, &t, e));
	if (!table_load_fd(t, fd, NULL, NULL, e))
		table_free(&t);
	disk_close(fd);
	return t;
}

static struct table *load(enum table_use use)
{
	struct error e = {0};
	struct table *t = try_load("t.db", use, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	return t;
}

START_TEST(finds_what_was_built)
{
	build(TABLE_ALIASES, "root: alice, bob@example.org\n@x.example: carol\n"
			     "Team@Example.ORG: dave\n");
	struct table *t = load(TABLE_ALIASES);
	ck_assert_uint_eq(table_count(t), 3);
	ck_assert(table_loaded(t));
	ck_assert_str_eq(ask(t, "root").value, "aalice\nabob@example.org\n");
	ck_assert_str_eq(ask(t, "root@any.example").value, "aalice\nabob@example.org\n");
	ck_assert_str_eq(ask(t, "@x.example").value, "acarol\n");
	ck_assert_str_eq(ask(t, "team@example.org").value, "adave\n");
	ck_assert_int_eq(ask(t, "team").result, TABLE_MISSING);
	ck_assert_int_eq(ask(t, "").result, TABLE_MISSING);
	table_free(&t);
}
END_TEST

START_TEST(each_use_has_its_own_format)
{
	build_slice(TABLE_USERS, SLICE("alice:{PLAIN}x:1:1\nbob\n"), "users.db");
	build_slice(TABLE_ROUTES, SLICE("a@x.example smtp:[MX.Example]\n"), "routes.db");
	build_slice(TABLE_PLAIN, SLICE("Example.org\n.sub.example yes\n"), "plain.db");
	struct error e = {0};
	struct table *t = try_load("users.db", TABLE_USERS, &e);
	ck_assert_str_eq(ask(t, "alice@any.example").value, "{PLAIN}x:1:1");
	ck_assert_str_eq(ask(t, "bob").value, "");
	ck_assert_int_eq(ask(t, "bob").result, TABLE_FOUND);
	table_free(&t);
	t = try_load("routes.db", TABLE_ROUTES, &e);
	ck_assert_str_eq(ask(t, "a@x.example").value, "smtp:[mx.example]:25");
	table_free(&t);
	t = try_load("plain.db", TABLE_PLAIN, &e);
	ck_assert_int_eq(ask(t, "example.org").result, TABLE_FOUND);
	ck_assert_int_eq(ask(t, "example.org@x.example").result, TABLE_MISSING);
	ck_assert_str_eq(ask(t, ".sub.example").value, "yes");
	table_free(&t);
	ck_assert_ptr_null(try_load("plain.db", TABLE_USERS, &e));
	ck_assert_int_eq(e.code, EX_DATAERR);
	ck_assert_str_eq(e.text, "/t.db: it was made for plain, not for users");
}
END_TEST

START_TEST(a_database_says_what_it_is_for)
{
	enum table_use use;
	struct error e = {0};
	build(TABLE_ROUTES, "a local\n");
	int fd = open_file("t.db");
	ck_assert(table_database_use(fd, &use, &e));
	ck_assert_int_eq(use, TABLE_ROUTES);
	for (int i = 0; i < 3; i++) { /* the same descriptor, again and again */
		struct table *t;
		ck_assert(table_open("db:/t.db", TABLE_ROUTES, &t, &e));
		ck_assert_msg(table_load_fd(t, fd, NULL, NULL, &e), "%s", e.text);
		ck_assert_str_eq(ask(t, "a").value, "local");
		table_free(&t);
	}
	disk_close(fd);
}
END_TEST

START_TEST(an_empty_table_is_one)
{
	build(TABLE_ALIASES, "# nothing\n");
	struct table *t = load(TABLE_ALIASES);
	ck_assert_uint_eq(table_count(t), 0);
	ck_assert_int_eq(ask(t, "root").result, TABLE_MISSING);
	table_free(&t);
}
END_TEST

START_TEST(a_long_list_comes_whole)
{
	struct buffer text;
	buffer_init(&text, SIZE_MAX / 4);
	buffer_printf(&text, "list: a@x.example");
	while (text.len < TABLE_LINE_MAX - 100)
		buffer_printf(&text, ", member%zu@x.example", text.len);
	buffer_printf(&text, "\nshort: bob\n");
	build_slice(TABLE_ALIASES, buffer_slice(&text), "t.db");
	struct table *t = load(TABLE_ALIASES);
	ck_assert_uint_gt(ask(t, "list").len, TABLE_LINE_MAX * 9 / 10);
	ck_assert_str_eq(ask(t, "short").value, "abob\n");
	table_free(&t);
	buffer_free(&text);
}
END_TEST

START_TEST(the_marker_is_no_entry)
{
	struct answer a = {0};
	build(TABLE_PLAIN, "a b\n");
	struct table *t = load(TABLE_PLAIN);
	table_lookup(t, SLICE("\0stagepost"), note, &a);
	ck_assert_int_eq(a.result, TABLE_MISSING);
	table_free(&t);
}
END_TEST

START_TEST(makes_a_new_file_only)
{
	struct table *t;
	struct error e = {0};
	build(TABLE_ALIASES, "a: b\n");
	ck_assert_int_eq(symlink("elsewhere", "link.db"), 0);
	ck_assert(table_open("file:/t", TABLE_ALIASES, &t, &e));
	ck_assert(table_load_text(t, SLICE("a: b\n"), NULL, NULL, &e));
	ck_assert(!table_write_database(t, "t.db", &e));
	ck_assert_int_eq(e.code, EX_CANTCREAT);
	ck_assert(!table_write_database(t, "link.db", &e));
	ck_assert_int_ne(access("elsewhere", F_OK), 0);
	ck_assert(!table_write_database(t, "none/t.db", &e));
	table_free(&t);
}
END_TEST

START_TEST(an_answer_outlives_its_table)
{
	build(TABLE_ALIASES, "a: b\n");
	struct table *t = load(TABLE_ALIASES);
	struct error e = {0};
	ck_assert_int_eq(unlink("t.db"), 0);
	build(TABLE_ALIASES, "a: c\n"); /* the old file lives as long as it is open */
	ck_assert_str_eq(ask(t, "a").value, "ab\n");
	int fd = open_file("t.db");
	ck_assert(table_load_fd(t, fd, NULL, NULL, &e));
	disk_close(fd);
	ck_assert_str_eq(ask(t, "a").value, "ac\n");
	table_free(&t);
}
END_TEST

static void write_file(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(disk_write(fd, data, len), 0);
	disk_close(fd);
}

/* t.db, read whole. */
static void read_built(struct buffer *b)
{
	int fd = open_file("t.db");
	buffer_init(b, SIZE_MAX / 4);
	ck_assert_int_eq(disk_read_whole(fd, 1 << 30, b), 0);
	disk_close(fd);
}

START_TEST(refuses_what_is_no_database_of_ours)
{
	static const struct {
		size_t cut; /* octets that stay; 0: all */
		size_t spoil;
		unsigned char with;
		const char *why;
	} cases[] = {
	    {1, 0, 0, "/t.db: it is no database"},
	    {71, 0, 0, "/t.db: it is no database"},
	    {0, 12, 0, "/t.db: it is no database"},
	    {0, 25, 8, "/t.db: it is no database"},
	    {0, 16, 10, "/t.db: it is no database"},
	    {0, 20, 1, "/t.db: another program has made it"},
	    {0, 24, 1, "/t.db: another program has made it"},
	    {0, 26, 0, "/t.db: another program has made it"},
	    {4096, 0, 0, "/t.db: it is not whole"},
	    {8191, 0, 0, "/t.db: it is not whole"},
	    {0, 32, 99, "/t.db: it is not whole"},
	    {0, 100, 99, "/t.db: "},
	    {0, 4200, 99, "/t.db: "},
	};
	struct buffer good;
	struct error e = {0};
	build(TABLE_ALIASES, "a: b\nc: d\n");
	read_built(&good);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].cut ? cases[i].cut : good.len;
		char was = good.data[cases[i].spoil];
		if (cases[i].spoil > 0)
			good.data[cases[i].spoil] = (char)cases[i].with;
		write_file("bad.db", good.data, len);
		good.data[cases[i].spoil] = was;
		ck_assert_ptr_null(try_load("bad.db", TABLE_ALIASES, &e));
		ck_assert_int_eq(e.code, EX_DATAERR);
		ck_assert_msg(strncmp(e.text, cases[i].why, strlen(cases[i].why)) == 0, "%zu: %s",
			      i, e.text);
	}
	write_file("bad.db", "root: alice\n", 12);
	ck_assert_ptr_null(try_load("bad.db", TABLE_ALIASES, &e));
	buffer_free(&good);
}
END_TEST

/* S55: what can't be read is no miss. */
START_TEST(a_spoiled_page_is_an_error_and_never_a_miss)
{
	enum { ENTRIES = 2000 };
	struct buffer text, good;
	struct error e = {0};
	char key[32];
	unsigned found = 0, errors = 0;
	buffer_init(&text, SIZE_MAX / 4);
	for (int i = 0; i < ENTRIES; i++)
		buffer_printf(&text, "user%04d: target%d\n", i, i);
	build_slice(TABLE_ALIASES, buffer_slice(&text), "t.db");
	read_built(&good);
	for (size_t page = 2; page < good.len / 4096; page++) {
		good.data[page * 4096 + 2000] ^= 0x40;
		write_file("bad.db", good.data, good.len);
		good.data[page * 4096 + 2000] ^= 0x40;
		struct table *t = try_load("bad.db", TABLE_ALIASES, &e);
		for (int i = 0; t && i < ENTRIES; i += 7) {
			snprintf(key, sizeof(key), "user%04d", i);
			struct answer a = ask(t, key);
			ck_assert_int_ne(a.result, TABLE_MISSING);
			found += a.result == TABLE_FOUND;
			errors += a.result == TABLE_ERROR;
		}
		table_free(&t);
	}
	ck_assert_uint_gt(found, 0);
	ck_assert_uint_gt(errors, 0);
	buffer_free(&text);
	buffer_free(&good);
}
END_TEST

/* In a child: the rights of the router, then a load and look-ups. */
static int jailed(int fd, bool load_inside)
{
	struct table *t;
	struct error e = {0};
	struct answer a = {0};
	enum { NOBODY = 65534 };
	struct sandbox_place place = {.root_dir = -1, .uid = NOBODY, .gid = NOBODY};
	if (!table_open("db:/t.db", TABLE_ALIASES, &t, &e))
		return 1;
	if (!load_inside && !table_load_fd(t, fd, NULL, NULL, &e))
		return 2;
	if (!sandbox_enter(sandbox_find("router"), &place, &e))
		return 3;
	if (load_inside && !table_load_fd(t, fd, NULL, NULL, &e)) {
		dprintf(2, "%s\n", e.text);
		return 4;
	}
	table_lookup(t, SLICE("root"), note, &a);
	if (a.result != TABLE_FOUND || strcmp(a.value, "aalice\n") != 0)
		return 5;
	table_free(&t);
	return 0;
}

START_TEST(needs_no_more_than_to_read_the_descriptor)
{
	int status;
	build(TABLE_ALIASES, "root: alice\n");
	int fd = open_file("t.db");
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(jailed(fd, _i == 1));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	disk_close(fd);
}
END_TEST

START_TEST(a_spec_names_the_file)
{
	ck_assert_str_eq(table_spec_path("db:/etc/aliases.db"), "/etc/aliases.db");
	ck_assert_str_eq(table_spec_suffix("db:/etc/aliases"), ".db");
	ck_assert_str_eq(table_spec_suffix("db:/etc/aliases.db"), "");
	ck_assert_str_eq(table_spec_suffix("file:/etc/aliases"), "");
	ck_assert_str_eq(table_spec_suffix("db:"), "");
	struct table *t;
	struct error e;
	ck_assert(!table_open("db:", TABLE_USERS, &t, &e));
	ck_assert_int_eq(e.code, EX_CONFIG);
}
END_TEST

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Microseconds of a look-up in a table of that many. */
static double measure(int entries)
{
	enum { LOOKUPS = 200000 };
	struct buffer text;
	char name[32], key[64];
	struct error e = {0};
	uint32_t random = 1;
	snprintf(name, sizeof(name), "n%d.db", entries);
	buffer_init(&text, SIZE_MAX / 4);
	for (int i = 0; i < entries; i++)
		buffer_printf(&text, "user%d@example%d.org: target%d@elsewhere.example\n", i,
			      i % 100, i);
	double begin = seconds();
	build_slice(TABLE_ALIASES, buffer_slice(&text), name);
	double built = seconds();
	struct table *t = try_load(name, TABLE_ALIASES, &e);
	double loaded = seconds();
	ck_assert_msg(t != NULL, "%s", e.text);
	for (int i = 0; i < LOOKUPS; i++) {
		random = random * 1103515245 + 12345;
		int at = (int)((random >> 8) % (uint32_t)entries);
		snprintf(key, sizeof(key), "user%d@example%d.org", at, at % 100);
		ck_assert_int_eq(ask(t, key).result, TABLE_FOUND);
	}
	double us = (seconds() - loaded) * 1e6 / LOOKUPS;
	printf("%d entries: built in %.2f s, open in %.4f s, %.2f us a look-up\n", entries,
	       built - begin, loaded - built, us);
	ck_assert(loaded - built < 1);
	table_free(&t);
	buffer_free(&text);
	return us;
}

START_TEST(a_million_entries_are_as_fast_as_a_thousand)
{
	double few = measure(1000), many = measure(1000000);
	ck_assert_msg(many < few + 20, "%f and %f microseconds", few, many);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("database");
	TCase *cases = tcase_create("database"), *slow = tcase_create("large");
	tcase_add_checked_fixture(cases, make_folder, remove_folder);
	tcase_add_checked_fixture(slow, make_folder, remove_folder);
	tcase_set_timeout(slow, 120);
	tcase_add_test(cases, finds_what_was_built);
	tcase_add_test(cases, each_use_has_its_own_format);
	tcase_add_test(cases, a_database_says_what_it_is_for);
	tcase_add_test(cases, an_empty_table_is_one);
	tcase_add_test(cases, a_long_list_comes_whole);
	tcase_add_test(cases, the_marker_is_no_entry);
	tcase_add_test(cases, makes_a_new_file_only);
	tcase_add_test(cases, an_answer_outlives_its_table);
	tcase_add_test(cases, refuses_what_is_no_database_of_ours);
	tcase_add_test(cases, a_spoiled_page_is_an_error_and_never_a_miss);
	tcase_add_loop_test(cases, needs_no_more_than_to_read_the_descriptor, 0, 2);
	tcase_add_test(cases, a_spec_names_the_file);
	tcase_add_test(slow, a_million_entries_are_as_fast_as_a_thousand);
	suite_add_tcase(suite, cases);
	suite_add_tcase(suite, slow);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
