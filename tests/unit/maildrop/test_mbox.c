/* mbox: what a session sees of a file of messages, and how messages leave it. */
#include <errno.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <signal.h>

#include "common/os/lock.h"
#include "tests/unit/maildrop/box.h"

#define ONE   "From a\nSubject: 1\n\none\n\n"
#define TWO   "From b\nSubject: 2\n\ntwo\n\n"
#define THREE "From c\nSubject: 3\n\nthree\n\n"
#define FOUR  "From d\nSubject: 4\n\nfour\n\n"

static struct drop d;
static struct error e;

static void setup(void)
{
	box_setup();
	memset(&e, 0, sizeof(e));
}

static void open_it(void)
{
	ck_assert_msg(box_open(&d, &drop_mbox, "bob", &e) == MAILDROP_READY, "%s", e.text);
}

static void append(const char *text)
{
	int fd = openat(box_dir, "bob", O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Nothing of ours is left beside it. */
static void expect_clean(void)
{
	ck_assert(!box_has("bob.lock") && !box_has(".bob.pop3.lock") && !box_has(".bob.pop3.new"));
}

START_TEST(messages_are_found_and_read)
{
	box_write("bob", ONE TWO THREE);
	open_it();
	ck_assert_uint_eq(d.count, 3);
	ck_assert_uint_eq(drop_mbox.octets(&d, 0), 12 + 2 + 5);
	ck_assert_str_eq(box_message(&d, 0, 100), "Subject: 1\n\none\n");
	ck_assert_str_eq(box_message(&d, 2, 4), "Subject: 3\n\nthree\n");
	ck_assert(!box_has("bob.lock")); /* mail can be delivered */
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), ONE TWO THREE);
	expect_clean();
}
END_TEST

START_TEST(a_mailbox_that_is_not_there_is_empty)
{
	open_it();
	ck_assert_uint_eq(d.count, 0);
	box_close(&d);
	ck_assert(!box_has("bob"));
	expect_clean();
}
END_TEST

START_TEST(ids_stay_while_others_go_and_flags_change)
{
	char two[MAILDROP_UIDL_MAX + 1];
	bool marked[3] = {true, false, false};
	box_write("bob", ONE TWO THREE);
	open_it();
	snprintf(two, sizeof(two), "%s", box_unique(&d, 1));
	ck_assert_uint_eq(strlen(two), 32);
	ck_assert_str_ne(box_unique(&d, 0), two);
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 1);
	box_close(&d);
	open_it();
	ck_assert_str_eq(box_unique(&d, 0), two);
	box_close(&d);
	box_write("bob", "From b\nSubject: 2\nStatus: RO\n\ntwo\n\n");
	open_it();
	ck_assert_str_eq(box_unique(&d, 0), two);
	box_close(&d);
}
END_TEST

START_TEST(twins_have_ids_of_their_own)
{
	box_write("bob", ONE ONE);
	open_it();
	ck_assert_uint_eq(d.count, 2);
	ck_assert_str_ne(box_unique(&d, 0), box_unique(&d, 1));
	box_close(&d);
}
END_TEST

static const struct {
	bool marked[3];
	const char *left;
} removals[] = {
    {{true, false, false}, TWO THREE FOUR}, {{false, true, false}, ONE THREE FOUR},
    {{false, false, true}, ONE TWO FOUR},   {{true, true, true}, FOUR},
    {{true, false, true}, TWO FOUR},	    {{false, false, false}, ONE TWO THREE FOUR},
};

START_TEST(S51_what_is_marked_goes_and_what_came_meanwhile_stays)
{
	struct stat before, after;
	size_t count = 0;
	box_write("bob", ONE TWO THREE);
	ck_assert_int_eq(fchmodat(box_dir, "bob", 0660, 0), 0);
	ck_assert_int_eq(fstatat(box_dir, "bob", &before, 0), 0);
	open_it();
	append(FOUR);
	for (size_t i = 0; i < 3; i++)
		count += removals[_i].marked[i];
	if (count > 0)
		ck_assert_uint_eq(drop_mbox.remove(&d, removals[_i].marked, &e), count);
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), removals[_i].left);
	ck_assert_int_eq(fstatat(box_dir, "bob", &after, 0), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_gid, before.st_gid);
	expect_clean();
}
END_TEST

START_TEST(what_stood_before_the_first_message_stays)
{
	bool marked[1] = {true};
	box_write("bob", "no mail\n\n" ONE);
	open_it();
	ck_assert_uint_eq(d.count, 1);
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 1);
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), "no mail\n\n");
}
END_TEST

/* Another mail program has written the file anew: flags, another order, one gone. */
START_TEST(messages_are_known_again_in_a_file_that_was_written_anew)
{
	bool marked[3] = {true, true, false};
	box_write("bob", ONE TWO THREE);
	open_it();
	box_write("bob", THREE "From a\nSubject: 1\nStatus: RO\n\none\n\n" FOUR);
	ck_assert_ptr_null(box_message(&d, 0, 100)); /* not what lies there now */
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 2);
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), THREE FOUR);
}
END_TEST

/* A mail program that has shown it notes that in its header, and writes the file anew, in place. */
START_TEST(a_message_that_grew_is_not_given_in_part)
{
	static const char *const behind[] = {TWO, ""};
	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		box_write("bob", "From a\nSubject: 1\n\none two three four five\n\n");
		append(behind[i]);
		open_it();
		box_write("bob", "From a\nSubject: 1\nStatus: O\n\none two three four five\n\n");
		append(behind[i]);
		ck_assert_ptr_null(box_message(&d, 0, 100));
		box_close(&d);
	}
}
END_TEST

START_TEST(a_message_that_is_written_anew_while_it_is_read_is_not_given)
{
	char piece[8];
	bool last;
	box_write("bob", ONE TWO THREE);
	open_it();
	ck_assert_int_eq(drop_mbox.read(&d, 1, 0, piece, sizeof(piece), &last), sizeof(piece));
	box_write("bob", TWO THREE FOUR);
	ck_assert(!last);
	ck_assert_int_eq(drop_mbox.read(&d, 1, sizeof(piece), piece, sizeof(piece), &last), -1);
	box_close(&d);
}
END_TEST

START_TEST(a_mailbox_that_another_removed_has_nothing_to_remove)
{
	bool marked[1] = {true};
	box_write("bob", ONE);
	open_it();
	ck_assert_int_eq(unlinkat(box_dir, "bob", 0), 0);
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 1);
	box_close(&d);
	ck_assert(!box_has("bob"));
	expect_clean();
}
END_TEST

START_TEST(of_too_many_the_first_are_seen)
{
	enum { LINE = 7, MORE = 3, MOST = MAILDROP_MESSAGES_MAX };
	bool *marked = memory_zero(MOST, sizeof(*marked));
	FILE *f = fdopen(openat(box_dir, "bob", O_WRONLY | O_CREAT, 0600), "w");
	for (int i = 0; i < MOST + MORE; i++)
		fputs("From \n\n", f);
	fclose(f);
	open_it();
	ck_assert_uint_eq(d.count, MOST);
	ck_assert_uint_gt(d.skipped, 0);
	ck_assert_str_eq(box_message(&d, MOST - 1, 100), "");
	memset(marked, true, MOST);
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), MOST);
	box_close(&d);
	ck_assert_uint_eq(strlen(box_read("bob")), (size_t)MORE * LINE);
	memory_free(marked);
}
END_TEST

START_TEST(one_session_at_a_time_and_deliveries_go_on)
{
	struct drop other;
	box_write("bob", ONE);
	open_it();
	ck_assert_int_eq(box_open(&other, &drop_mbox, "bob", &e), MAILDROP_LOCKED);
	box_close(&other);
	ck_assert(box_has(".bob.pop3.lock")); /* the other's is not ours to remove */
	append(TWO);
	ck_assert_uint_eq(d.count, 1);
	box_close(&d);
	expect_clean();
}
END_TEST

START_TEST(a_session_that_died_holds_nothing_for_long)
{
	struct timespec old[2] = {{1, 0}, {1, 0}};
	box_write("bob", ONE);
	pid_t pid = fork();
	if (pid == 0) {
		open_it();
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	ck_assert(box_has(".bob.pop3.lock"));
	/* its age: two seconds are what a lock may take to be locked */
	ck_assert_int_eq(utimensat(box_dir, ".bob.pop3.lock", old, 0), 0);
	open_it();
	box_close(&d);
	expect_clean();
}
END_TEST

static void make_link(void)
{
	box_write("other", ONE);
	ck_assert_int_eq(symlinkat("other", box_dir, "bob"), 0);
}

static void make_hard_link(void)
{
	box_write("bob", ONE);
	ck_assert_int_eq(linkat(box_dir, "bob", box_dir, "other", 0), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifoat(box_dir, "bob", 0600), 0);
}

static void make_directory(void)
{
	box_mkdir("bob");
}

static void make_foreign(void)
{
	box_write("bob", ONE);
	if (geteuid() == 0)
		ck_assert_int_eq(fchownat(box_dir, "bob", 60001, 60001, 0), 0);
	else
		make_link();
}

static void (*const strange[])(void) = {make_link, make_hard_link, make_fifo, make_directory,
					make_foreign};

START_TEST(S51_what_is_no_file_of_ours_alone_is_not_opened)
{
	if (strange[_i] == make_foreign && geteuid() != 0)
		return;
	strange[_i]();
	ck_assert_int_eq(box_open(&d, &drop_mbox, "bob", &e), MAILDROP_TROUBLE);
	box_close(&d);
	expect_clean();
}
END_TEST

/* As a full disk: the new file can't be written, and the old one is as it was. */
START_TEST(S51_no_room_for_the_new_file_removes_nothing)
{
	bool marked[3] = {true, false, false};
	struct rlimit none = {4, 4};
	box_write("bob", ONE TWO THREE);
	open_it();
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 0);
	ck_assert_str_ne(e.text, "");
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), ONE TWO THREE);
	expect_clean();
}
END_TEST

/* What a session that died while it wrote has left is no obstacle. */
START_TEST(a_half_new_file_of_a_dead_session_is_replaced)
{
	bool marked[2] = {true, false};
	box_write("bob", ONE TWO);
	box_write(".bob.pop3.new", "half of it");
	open_it();
	ck_assert_uint_eq(drop_mbox.remove(&d, marked, &e), 1);
	box_close(&d);
	ck_assert_str_eq(box_read("bob"), TWO);
	expect_clean();
}
END_TEST

/* The same where the group alone may make files, as in /var/mail. */
START_TEST(a_half_new_file_in_the_directory_of_a_group_is_replaced)
{
	enum { USER = 60001, OWN = 60001, MAIL = 60002 };
	bool marked[2] = {true, false};
	int status;
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(box_path, 0, MAIL), 0);
	ck_assert_int_eq(chmod(box_path, 02775), 0);
	box_write("bob", ONE TWO);
	box_write(".bob.pop3.new", "half of it");
	ck_assert_int_eq(fchownat(box_dir, "bob", USER, MAIL, 0), 0);
	ck_assert_int_eq(fchownat(box_dir, ".bob.pop3.new", USER, MAIL, 0), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(OWN, OWN, MAIL) < 0 ||
		    setresuid(USER, USER, USER) < 0)
			_exit(99);
		d = (struct drop){.kind = &drop_mbox, .dir = -1, .group = MAIL};
		if (!drop_mbox.prepare(&d, box_dir, "bob", &e) ||
		    drop_mbox.open(&d, &e) != MAILDROP_READY)
			_exit(98);
		size_t gone = drop_mbox.remove(&d, marked, &e);
		box_close(&d);
		_exit((int)gone);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, W_EXITCODE(1, 0));
	ck_assert_str_eq(box_read("bob"), TWO);
	expect_clean();
}
END_TEST

/* The locks of a process that has died, as they are two seconds later. */
static void age_locks(void)
{
	struct timespec old[2] = {{1, 0}, {1, 0}};
	utimensat(box_dir, ".bob.pop3.lock", old, 0);
	utimensat(box_dir, "bob.lock", old, 0);
}

/* A process of its own opens it and removes what is marked: faults are for one process, which reads
 * them at its first call. Its exit code: how many messages there were, or 99. */
static int session(const char *faults, const bool *marked, size_t expected)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		setenv("STAGEPOST_FAULTS", faults, 1);
		d = (struct drop){.kind = &drop_mbox, .dir = -1, .group = getgid()};
		if (!drop_mbox.prepare(&d, box_dir, "bob", &e) ||
		    drop_mbox.open(&d, &e) != MAILDROP_READY)
			_exit(99);
		int count = (int)d.count;
		if (marked && drop_mbox.remove(&d, marked, &e) != expected)
			count = 99;
		box_close(&d);
		_exit(count);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* Whatever call of the disk it is, the mailbox is as it was or as it shall be, and serves again. */
static bool strike(unsigned call, const char *action)
{
	bool marked[3] = {true, false, true};
	char faults[64];
	snprintf(faults, sizeof(faults), "*:*:%u:%s", call, action);
	box_write("bob", ONE TWO THREE);
	bool good = session(faults, marked, 2) == 3;
	const char *left = box_read("bob");
	bool whole = strcmp(left, ONE TWO THREE) == 0, done = strcmp(left, TWO) == 0;
	ck_assert_msg(whole || done, "call %u: %s", call, left);
	ck_assert_msg(!good || done, "call %u was told as done", call);
	age_locks();
	ck_assert_int_eq(session("", NULL, 0), whole ? 3 : 1);
	return good;
}

static const char *const actions[] = {"kill", "EIO", "ENOSPC"};

START_TEST(S51_no_failure_and_no_death_loses_a_message)
{
	unsigned call = 1;
	if (!disk_faults_built())
		return;
	/* so many in a row that went well: no call is left to strike at */
	for (unsigned well = 0; well < 8; call++)
		well = strike(call, actions[_i]) ? well + 1 : 0;
	ck_assert_uint_gt(call, 25);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mbox");
	TCase *tc = tcase_create("mbox");
	tcase_add_checked_fixture(tc, setup, box_teardown);
	tcase_add_test(tc, messages_are_found_and_read);
	tcase_add_test(tc, a_mailbox_that_is_not_there_is_empty);
	tcase_add_test(tc, ids_stay_while_others_go_and_flags_change);
	tcase_add_test(tc, twins_have_ids_of_their_own);
	tcase_add_loop_test(tc, S51_what_is_marked_goes_and_what_came_meanwhile_stays, 0,
			    sizeof(removals) / sizeof(removals[0]));
	tcase_add_test(tc, what_stood_before_the_first_message_stays);
	tcase_add_test(tc, messages_are_known_again_in_a_file_that_was_written_anew);
	tcase_add_test(tc, a_message_that_grew_is_not_given_in_part);
	tcase_add_test(tc, a_message_that_is_written_anew_while_it_is_read_is_not_given);
	tcase_add_test(tc, a_mailbox_that_another_removed_has_nothing_to_remove);
	tcase_add_test(tc, of_too_many_the_first_are_seen);
	tcase_add_test(tc, one_session_at_a_time_and_deliveries_go_on);
	tcase_add_test(tc, a_session_that_died_holds_nothing_for_long);
	tcase_add_loop_test(tc, S51_what_is_no_file_of_ours_alone_is_not_opened, 0,
			    sizeof(strange) / sizeof(strange[0]));
	tcase_add_test(tc, S51_no_room_for_the_new_file_removes_nothing);
	tcase_add_test(tc, a_half_new_file_of_a_dead_session_is_replaced);
	tcase_add_test(tc, a_half_new_file_in_the_directory_of_a_group_is_replaced);
	tcase_add_loop_test(tc, S51_no_failure_and_no_death_loses_a_message, 0,
			    sizeof(actions) / sizeof(actions[0]));
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
