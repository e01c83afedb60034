/*
 * The journal and the list of the blocked on a real directory: what a death at any moment leaves is
 * read again, and what is spoilt harms nobody.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "daemons/usage/usage.h"

static char path[64];
static int dir;
static uint64_t now;
static struct verdict v;

static void setup(void)
{
	struct settings_submission none = {0};
	snprintf(path, sizeof(path), "/tmp/test-usage-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	now = usage_now();
	book_limits(&none);
}

static void teardown(void)
{
	static const char *const names[] = {"journal-0", "journal-1", "blocked", "blocked.new"};
	blocked_free();
	book_free();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	rmdir(path);
}

static void begin(void)
{
	journal_open(dir, now);
	journal_start();
}

/* The process is gone; what was flushed is all that is left. */
static void die(void)
{
	book_free();
	journal_close();
}

static void send(const char *user, uint64_t first, uint32_t count)
{
	uint64_t *hashes = memory_get((count + 1) * sizeof(*hashes));
	for (uint32_t i = 0; i < count; i++)
		hashes[i] = (first + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	book_send(slice_str(user), count, hashes, count, now, &v);
	memory_free(hashes);
}

static void check_user(const char *name, uint32_t messages, uint32_t recipients, uint32_t known)
{
	struct sums s;
	const struct user *u = book_find(slice_str(name));
	ck_assert_msg(u, "%s is not there", name);
	windows_sum(&u->windows, now, &s);
	ck_assert_uint_eq(s.messages_day, messages);
	ck_assert_uint_eq(s.recipients_day, recipients);
	ck_assert_uint_eq(u->known.count, known);
}

static struct loop_timer look_timer;
static bool (*awaited)(void);

static void look(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
	else
		loop_timer_start(&look_timer, 1000, look, NULL);
}

static void run_until(bool (*is)(void))
{
	awaited = is;
	look(NULL);
	if (!is())
		loop_run();
	loop_timer_stop(&look_timer);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static bool is_settled(void)
{
	return !journal_renewing();
}

static off_t size_of(const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, 0) == 0 ? st.st_size : -1;
}

START_TEST(what_was_flushed_is_there_after_a_death)
{
	begin();
	run_until(is_settled);
	send("a@x.example", 0, 3);
	send("a@x.example", 2, 2);
	send("b@x.example", 0, 1);
	ck_assert(journal_flush());
	die();
	begin();
	check_user("a@x.example", 2, 5, 4);
	check_user("b@x.example", 1, 1, 1);
	send("a@x.example", 0, 4);
	ck_assert(journal_flush());
	die();
	begin();
	check_user("a@x.example", 3, 9, 4);
	die();
}
END_TEST

static bool is_written(void)
{
	return size_of("journal-1") > JOURNAL_HEAD || size_of("journal-0") > JOURNAL_HEAD;
}

START_TEST(it_is_written_within_a_second_by_itself)
{
	begin();
	run_until(is_settled);
	send("a@x.example", 0, 3);
	uint64_t begun = loop_now();
	run_until(is_written);
	ck_assert_uint_le(loop_now() - begun, 10 * JOURNAL_SYNC_US);
	die();
}
END_TEST

START_TEST(that_the_administrator_was_told_is_remembered)
{
	struct settings_submission one = {.messages_hour = 1};
	begin();
	run_until(is_settled);
	book_limits(&one);
	send("a@x.example", 0, 1);
	send("a@x.example", 0, 1);
	ck_assert(v.hold && v.tell);
	ck_assert(journal_flush());
	die();
	begin();
	send("a@x.example", 0, 1);
	ck_assert(v.hold && !v.tell);
	die();
}
END_TEST

/* Cut anywhere: what is whole before it counts, and the journal goes on there. */
START_TEST(a_torn_end_costs_what_is_torn)
{
	begin();
	run_until(is_settled);
	for (int i = 0; i < 5; i++)
		send("a@x.example", (uint64_t)i, 1);
	ck_assert(journal_flush());
	die();
	const char *name = size_of("journal-0") > 0 ? "journal-0" : "journal-1";
	off_t whole = size_of(name), frame = (whole - JOURNAL_HEAD) / 5;
	for (off_t cut = whole - 1; cut > JOURNAL_HEAD; cut--) {
		int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(ftruncate(fd, cut), 0);
		close(fd);
		uint32_t left = (uint32_t)((cut - JOURNAL_HEAD) / frame);
		begin();
		if (left > 0)
			check_user("a@x.example", left, left, left);
		else
			ck_assert_ptr_null(book_find(SLICE("a@x.example")));
		book_free();
		journal_close();
		ck_assert_int_eq(size_of(name), JOURNAL_HEAD + (off_t)left * frame);
	}
}
END_TEST

START_TEST(spoilt_octets_end_the_file_and_nothing_else)
{
	begin();
	run_until(is_settled);
	for (int i = 0; i < 5; i++)
		send("a@x.example", (uint64_t)i, 1);
	ck_assert(journal_flush());
	die();
	const char *name = size_of("journal-0") > 0 ? "journal-0" : "journal-1";
	off_t frame = (size_of(name) - JOURNAL_HEAD) / 5;
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "\xff", 1, JOURNAL_HEAD + 3 * frame + 20), 1);
	close(fd);
	begin();
	check_user("a@x.example", 3, 3, 3);
	send("a@x.example", 9, 1);
	ck_assert(journal_flush());
	die();
	begin();
	check_user("a@x.example", 4, 4, 4);
	die();
}
END_TEST

static void fill(uint32_t users)
{
	char name[32];
	for (uint32_t i = 0; i < users; i++) {
		snprintf(name, sizeof(name), "user%u@x.example", i);
		send(name, i, 5);
	}
}

/* Users send while all is stated anew, and a death comes at any turn of it. */
START_TEST(a_death_while_all_is_stated_loses_nothing)
{
	for (int turns = 0; turns < 12; turns++) {
		begin();
		run_until(is_settled);
		fill(9000);
		journal_flush();
		journal_renew();
		for (int i = 0; i < turns && journal_renewing(); i++) {
			send("z@x.example", (uint64_t)i, 1);
			loop_timer_start(&look_timer, 6000, stop, NULL);
			loop_run();
		}
		journal_flush();
		die();
		journal_open(dir, now);
		ck_assert_uint_ge(book_count(), 9000);
		check_user("user0@x.example", 1, 5, 5);
		check_user("user8999@x.example", 1, 5, 5);
		journal_start();
		run_until(is_settled);
		ck_assert((size_of("journal-0") < 0) != (size_of("journal-1") < 0));
		die();
		unlinkat(dir, "journal-0", 0);
		unlinkat(dir, "journal-1", 0);
	}
}
END_TEST

START_TEST(a_long_file_is_replaced_by_what_it_says)
{
	begin();
	run_until(is_settled);
	fill(100);
	for (int i = 0; i < 90000; i++)
		send("user0@x.example", 0, 5);
	ck_assert(journal_flush());
	ck_assert_uint_gt(journal_octets(), 4 * 1024 * 1024);
	loop_timer_start(&look_timer, 1000, stop, NULL);
	loop_run();
	run_until(is_settled);
	ck_assert_uint_lt(journal_octets(), 100 * 1024);
	ck_assert((size_of("journal-0") < 0) != (size_of("journal-1") < 0));
	die();
	begin();
	check_user("user0@x.example", 90001, 450005, 5);
	check_user("user99@x.example", 1, 5, 5);
	die();
}
END_TEST

START_TEST(a_long_users_state_fits)
{
	begin();
	run_until(is_settled);
	send("a@x.example", 0, USAGE_RECIPIENTS_MAX);
	send("b@x.example", 0, KNOWN_MAX);
	journal_renew();
	run_until(is_settled);
	die();
	begin();
	check_user("a@x.example", 1, USAGE_RECIPIENTS_MAX, KNOWN_MAX / 4 * 3);
	check_user("b@x.example", 1, KNOWN_MAX, KNOWN_MAX);
	die();
}
END_TEST

static void check_order(const struct user *u)
{
	ck_assert_uint_le(u->windows.count, SLOTS_MAX);
	ck_assert_uint_le(u->known.count, KNOWN_MAX);
	for (uint32_t i = 1; i < u->known.count; i++)
		ck_assert_uint_gt(KNOWN_HASH(u->known.entries[i]),
				  KNOWN_HASH(u->known.entries[i - 1]));
	for (uint16_t i = 1; i < u->windows.count; i++)
		ck_assert_uint_gt(u->windows.slots[i].number, u->windows.slots[i - 1].number);
}

/* Whatever a disk makes of it, with a checksum that happens to be right. */
START_TEST(any_payload_is_taken_whole_or_refused)
{
	char good[JOURNAL_FIXED + 4 + 3 * 16 + 5 * 8], bad[sizeof(good)];
	memset(good, 0, sizeof(good));
	put_u16(good + 2, 4);
	put_u64(good + 8, now);
	memcpy(good + JOURNAL_FIXED, "a@x.", 4);
	srandom(9);
	for (int i = 0; i < 50000; i++) {
		bool state = i % 2;
		size_t len = sizeof(good) - (state ? 0 : 3 * 16);
		memcpy(bad, good, sizeof(bad));
		bad[0] = state ? JOURNAL_STATE : JOURNAL_SENT;
		put_u32(bad + 16, state ? 3 : 1);
		put_u32(bad + 28, 5);
		for (size_t n = 0; n < 5; n++)
			put_u64(bad + len - 40 + n * 8, (n + 1) << 40);
		for (size_t n = 0; state && n < 3; n++)
			put_u32(bad + JOURNAL_FIXED + 4 + n * 16,
				(uint32_t)(now / SLOT_SECONDS + n));
		for (long n = random() % 3; n > 0; n--)
			bad[(size_t)random() % len] = (char)random();
		if (random() % 4 == 0)
			len = (size_t)random() % len;
		replay_payload(slice_make(bad, len), now);
		for (size_t at = 0; book_at(at); at++)
			check_order(book_at(at));
		if (i % 100 == 0)
			book_free();
	}
}
END_TEST

/* Names are octets in a frame, and never a path. */
START_TEST(a_name_can_be_anything)
{
	begin();
	run_until(is_settled);
	send("../../etc/passwd\n@x", 0, 1);
	ck_assert(journal_flush());
	die();
	begin();
	check_user("../../etc/passwd\n@x", 1, 1, 1);
	die();
}
END_TEST

/* Blocked */

static void reopen_blocked(void)
{
	struct error e = {0};
	blocked_free();
	ck_assert_msg(blocked_open(dir, &e), "%s", e.text);
}

START_TEST(who_is_blocked_stays_so)
{
	struct error e = {0};
	reopen_blocked();
	ck_assert_int_eq(blocked_set(SLICE("a@x.example"), true, &e), BLOCKED_DONE);
	ck_assert_int_eq(blocked_set(SLICE("b@x.example"), true, &e), BLOCKED_DONE);
	ck_assert_int_eq(blocked_set(SLICE("b@x.example"), true, &e), BLOCKED_SO_ALREADY);
	reopen_blocked();
	ck_assert_uint_eq(blocked_count(), 2);
	send("a@x.example", 0, 1);
	ck_assert(v.hold && !v.tell);
	ck_assert_str_eq(v.text, "the user is blocked");
	ck_assert_int_eq(blocked_set(SLICE("a@x.example"), false, &e), BLOCKED_DONE);
	ck_assert_int_eq(blocked_set(SLICE("c@x.example"), false, &e), BLOCKED_SO_ALREADY);
	reopen_blocked();
	ck_assert(!blocked_is(SLICE("a@x.example")) && blocked_is(SLICE("b@x.example")));
	send("a@x.example", 0, 1);
	ck_assert(!v.hold);
}
END_TEST

START_TEST(what_can_not_be_a_user_is_not_blocked)
{
	char longest[USAGE_USER_MAX + 2];
	struct error e = {0};
	memset(longest, 'a', sizeof(longest));
	reopen_blocked();
	ck_assert_int_eq(blocked_set(SLICE(""), true, &e), BLOCKED_REFUSED);
	ck_assert_int_eq(blocked_set(SLICE("a\nb"), true, &e), BLOCKED_REFUSED);
	ck_assert_int_eq(blocked_set(slice_make(longest, USAGE_USER_MAX + 1), true, &e),
			 BLOCKED_REFUSED);
	ck_assert_int_eq(blocked_set(slice_make(longest, USAGE_USER_MAX), true, &e), BLOCKED_DONE);
	reopen_blocked();
	ck_assert_uint_eq(blocked_count(), 1);
}
END_TEST

/* A block that can't be written is in force, and is written with the next try. */
START_TEST(a_block_that_can_not_be_written_is_in_force)
{
	struct error e = {0};
	reopen_blocked();
	ck_assert_int_eq(mkdirat(dir, "blocked.new", 0700), 0);
	ck_assert_int_eq(blocked_set(SLICE("a@x.example"), true, &e), BLOCKED_NOT_WRITTEN);
	ck_assert(blocked_is(SLICE("a@x.example")));
	ck_assert(!blocked_save(&e));
	ck_assert_int_eq(unlinkat(dir, "blocked.new", AT_REMOVEDIR), 0);
	ck_assert(blocked_save(&e));
	reopen_blocked();
	ck_assert(blocked_is(SLICE("a@x.example")));
	ck_assert_int_eq(mkdirat(dir, "blocked.new", 0700), 0);
	ck_assert_int_eq(blocked_set(SLICE("b@x.example"), true, &e), BLOCKED_NOT_WRITTEN);
	ck_assert_int_eq(unlinkat(dir, "blocked.new", AT_REMOVEDIR), 0);
	ck_assert_int_eq(blocked_set(SLICE("b@x.example"), true, &e), BLOCKED_DONE);
	reopen_blocked();
	ck_assert(blocked_is(SLICE("b@x.example")));
}
END_TEST

START_TEST(a_spoilt_list_is_not_believed)
{
	struct error e = {0};
	int fd = openat(dir, "blocked", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, "a@x.example\n\x01\n", 14), 14);
	close(fd);
	ck_assert(!blocked_open(dir, &e));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal");
	TCase *c = tcase_create("journal");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_was_flushed_is_there_after_a_death);
	tcase_add_test(c, it_is_written_within_a_second_by_itself);
	tcase_add_test(c, that_the_administrator_was_told_is_remembered);
	tcase_add_test(c, a_torn_end_costs_what_is_torn);
	tcase_add_test(c, spoilt_octets_end_the_file_and_nothing_else);
	tcase_add_test(c, a_death_while_all_is_stated_loses_nothing);
	tcase_add_test(c, a_long_file_is_replaced_by_what_it_says);
	tcase_add_test(c, a_long_users_state_fits);
	tcase_add_test(c, any_payload_is_taken_whole_or_refused);
	tcase_add_test(c, a_name_can_be_anything);
	tcase_add_test(c, who_is_blocked_stays_so);
	tcase_add_test(c, what_can_not_be_a_user_is_not_blocked);
	tcase_add_test(c, a_block_that_can_not_be_written_is_in_force);
	tcase_add_test(c, a_spoilt_list_is_not_believed);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
