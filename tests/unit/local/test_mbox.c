/* mbox: deliveries into real files, and all that can be in their place. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/os/clock.h"
#include "common/os/lock.h"
#include "common/os/user.h"
#include "common/mailbox/dotlock.h"
#include "daemons/local/mbox.h"
#include "daemons/local/mbox_text.h"
#include "tests/unit/local/tree.h"

enum { USER = 60001, MAIL = 60008, STALE_SECONDS = 501, YOUNG_SECONDS = 4 };

#define LETTER "Return-Path: <s@d>\nDelivered-To: b@d\nReceived: us\nSubject: x\n\nHello\n"

static struct letter_room *room;
static struct outcome o;
static char *text;

static struct mbox_place place(void)
{
	return (struct mbox_place){.dir = tree_dir,
				   .path = "bob",
				   .name = "bob",
				   .group = getgid(),
				   .tries = 2,
				   .wait_us = 1000};
}

static struct letter letter(const char *body)
{
	return (struct letter){.sender = SLICE("s@d"),
			       .address = SLICE("b@d"),
			       .original = SLICE("b@d"),
			       .content = {.trace = SLICE("Received: us\r\n"),
					   .header = SLICE("Subject: x\r\n"),
					   .body = slice_str(body),
					   .fd = -1}};
}

static void deliver_one(const struct mbox_place *p, const struct letter *l,
			struct letter_room *with, struct outcome *outcome)
{
	struct mbox_item item = {l, outcome};
	mbox_deliver(p, &item, 1, with);
}

static void deliver(const char *body)
{
	struct mbox_place p = place();
	struct letter l = letter(body);
	memset(&o, 0, sizeof(o));
	deliver_one(&p, &l, room, &o);
}

static void check_outcome(uint32_t code, const char *enhanced)
{
	ck_assert_msg(o.code == code && strcmp(o.enhanced, enhanced) == 0, "%u %s %s", o.code,
		      o.enhanced, o.text);
}

/* The mailbox as text. */
static const char *content(void)
{
	struct buffer b;
	int fd = openat(tree_dir, "bob", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	buffer_init(&b, TREE_FILE_MAX);
	ck_assert_int_eq(disk_read_whole(fd, TREE_FILE_MAX, &b), 0);
	close(fd);
	memory_free(text);
	text = memory_string(buffer_slice(&b));
	buffer_free(&b);
	return text;
}

static void make(const char *name, const char *octets)
{
	int fd = openat(tree_dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, octets, strlen(octets)), (ssize_t)strlen(octets));
	close(fd);
}

static bool is_there(const char *name)
{
	return faccessat(tree_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void setup(void)
{
	tree_setup();
	clock_warm();
	signal(SIGXFSZ, SIG_IGN);
	room = letter_room_new();
}

static void teardown(void)
{
	letter_room_free(&room);
	memory_free(text);
	text = NULL;
	tree_teardown();
}

START_TEST(a_missing_mailbox_is_made_and_the_message_has_its_form)
{
	struct stat st;
	const char *line_end;
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
	ck_assert_str_eq(o.text, "delivered to mailbox");
	line_end = strchr(content(), '\n');
	ck_assert_int_eq(strncmp(text, "From s@d  ", 10), 0);
	ck_assert_uint_eq(strlen("From s@d  Tue Nov 24 09:14:07 2026"), (size_t)(line_end - text));
	ck_assert_str_eq(line_end + 1, LETTER "\n");
	ck_assert_int_eq(fstatat(tree_dir, "bob", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert(!is_there("bob.lock"));
}
END_TEST

static const struct {
	const char *body, *lines; /* behind the header */
} texts[] = {
    {"\r\n", "\n\n"},
    {"\r\nx", "\nx\n\n"},
    {"\r\nx\r\n\r\n", "\nx\n\n\n"},
    {"\r\nFrom here\r\n", "\n>From here\n\n"},
    {"\r\n>From here\r\n", "\n>From here\n\n"},
    {"\r\nfrom here\r\nFrom\r\nFromage\r\n From x\r\n", "\nfrom here\nFrom\nFromage\n From x\n\n"},
    {"\r\na From b\r\nFrom \r\nFrom ", "\na From b\n>From \n>From \n\n"},
    {"\r\nFrom", "\nFrom\n\n"},
    {"\r\nFFrom \r\nFrFrom x", "\nFFrom \nFrFrom x\n\n"},
};

START_TEST(lines_that_begin_like_a_new_message_are_quoted)
{
	deliver(texts[_i].body);
	check_outcome(250, "2.0.0");
	ck_assert_str_eq(strstr(content(), "Subject: x\n") + strlen("Subject: x\n"),
			 texts[_i].lines);
}
END_TEST

static bool gather(void *arg, struct slice octets)
{
	return buffer_append(arg, octets);
}

START_TEST(quoting_is_the_same_wherever_pieces_are_cut)
{
	const char *in = "From a\nFrom\nFFrom b\n\nFrom c\nx From d\nFro\nF";
	const char *out = ">From a\nFrom\nFFrom b\n\n>From c\nx From d\nFro\nF\n\n";
	for (size_t piece = 1; piece <= strlen(in); piece++) {
		struct mbox_quote q = {0};
		struct buffer b;
		buffer_init(&b, 1000);
		for (struct slice rest = slice_str(in); rest.len > 0;
		     rest = slice_from(rest, piece))
			ck_assert(mbox_quote(&q, slice_sub(rest, 0, piece), gather, &b));
		ck_assert(mbox_quote_end(&q, gather, &b));
		ck_assert_msg(slice_equal(buffer_slice(&b), slice_str(out)), "pieces of %zu: %.*s",
			      piece, SLICE_FMT(buffer_slice(&b)));
		buffer_free(&b);
	}
}
END_TEST

START_TEST(the_first_line_names_the_sender_in_one_word)
{
	static const struct {
		const char *sender, *line;
	} lines[] = {
	    {"", "From MAILER-DAEMON  Thu Jan  1 01:00:00 1970\n"},
	    {"a@b", "From a@b  Thu Jan  1 01:00:00 1970\n"},
	    {"\"a b\nc\"@d", "From \"a?b?c\"@d  Thu Jan  1 01:00:00 1970\n"},
	};
	char line[MBOX_FROM_SIZE];
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert(slice_equal(mbox_from_line(slice_str(lines[i].sender), 0, 60, line),
				      slice_str(lines[i].line)));
}
END_TEST

static const struct {
	const char *before, *separator;
} befores[] = {
    {"From x  y\n\nabc\n\n", ""},
    {"From x  y\n\nabc\n", "\n"},
    {"From x  y\n\nabc", "\n\n"},
    {"x", "\n"},
    {"\n", "\n"},
};

/* What another program, or a death, has left half written. */
START_TEST(a_message_begins_behind_an_empty_line)
{
	char expected[200];
	make("bob", befores[_i].before);
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
	snprintf(expected, sizeof(expected), "%s%sFrom s@d ", befores[_i].before,
		 befores[_i].separator);
	ck_assert_int_eq(strncmp(content(), expected, strlen(expected)), 0);
}
END_TEST

/* Who else is in its place. */
static void put_symlink(void)
{
	make("other", "mine\n");
	ck_assert_int_eq(symlinkat("other", tree_dir, "bob"), 0);
}

static void put_hard_link(void)
{
	make("other", "mine\n");
	ck_assert_int_eq(linkat(tree_dir, "other", tree_dir, "bob", 0), 0);
}

static void put_fifo(void)
{
	ck_assert_int_eq(mkfifoat(tree_dir, "bob", 0600), 0);
}

static void put_directory(void)
{
	ck_assert_int_eq(mkdirat(tree_dir, "bob", 0700), 0);
}

static void put_others_file(void)
{
	make("bob", "mine\n");
	if (user_is_root())
		ck_assert_int_eq(fchownat(tree_dir, "bob", USER, USER, 0), 0);
	else
		ck_assert_int_eq(fchmodat(tree_dir, "bob", 0, 0), 0);
}

static void put_dangling(void)
{
	ck_assert_int_eq(symlinkat("nowhere", tree_dir, "bob"), 0);
}

static void (*const in_its_place[])(void) = {put_symlink,   put_hard_link,   put_fifo,
					     put_directory, put_others_file, put_dangling};

START_TEST(S51_what_is_no_file_of_ours_alone_is_left_alone)
{
	struct stat before, after;
	in_its_place[_i]();
	ck_assert_int_eq(fstatat(tree_dir, "bob", &before, AT_SYMLINK_NOFOLLOW), 0);
	deliver("\r\nHello\r\n");
	check_outcome(451, "4.2.0");
	ck_assert(o.site);
	ck_assert_int_eq(fstatat(tree_dir, "bob", &after, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert(!is_there("bob.lock") && !is_there("nowhere"));
}
END_TEST

START_TEST(S51_a_locked_mailbox_is_waited_for)
{
	int fd;
	make("bob", "");
	make("bob.lock", "");
	deliver("\r\nHello\r\n");
	check_outcome(451, "4.2.0");
	ck_assert_str_eq(o.text, "mailbox bob is locked by another program");
	ck_assert(is_there("bob.lock")); /* another's */
	ck_assert_int_eq(unlinkat(tree_dir, "bob.lock", 0), 0);

	fd = openat(tree_dir, "bob", O_RDWR);
	ck_assert_int_eq(lock_take(fd, true), 0);
	deliver("\r\nHello\r\n");
	check_outcome(451, "4.2.0");
	ck_assert(!is_there("bob.lock"));
	close(fd);
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
}
END_TEST

START_TEST(a_stale_lock_is_nobodys)
{
	struct timespec times[2];
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= STALE_SECONDS;
	times[1] = times[0];
	make("bob.lock", "");
	ck_assert_int_eq(utimensat(tree_dir, "bob.lock", times, 0), 0);
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
	ck_assert(!is_there("bob.lock"));
}
END_TEST

/* One who dies while holding the lock keeps nobody else from the mailbox; one who lives does. */
START_TEST(a_lock_whose_holder_died_is_nobodys)
{
	struct timespec times[2];
	int held, other;
	pid_t pid;
	ck_assert_int_eq(dotlock_try(tree_dir, "bob.lock", MBOX_STALE_US, &held), 0);
	ck_assert_int_eq(dotlock_try(tree_dir, "bob.lock", MBOX_STALE_US, &other), EEXIST);
	deliver("\r\nHello\r\n");
	check_outcome(451, "4.2.0");
	dotlock_release(tree_dir, "bob.lock", held);
	ck_assert(!is_there("bob.lock"));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)!dotlock_try(tree_dir, "bob.lock", MBOX_STALE_US, &held);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &held, 0), pid);
	ck_assert(is_there("bob.lock"));
	deliver("\r\nHello\r\n"); /* somebody could be about to hold it */
	check_outcome(451, "4.2.0");
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= YOUNG_SECONDS;
	times[1] = times[0];
	ck_assert_int_eq(utimensat(tree_dir, "bob.lock", times, 0), 0);
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
	ck_assert(!is_there("bob.lock"));
}
END_TEST

static void *deliver_many(void *arg)
{
	struct mbox_place p = place();
	struct letter_room *own = letter_room_new();
	struct letter l = letter(arg);
	p.tries = 100000;
	for (int i = 0; i < 20; i++) {
		struct outcome own_outcome = {0};
		deliver_one(&p, &l, own, &own_outcome);
		ck_assert_msg(own_outcome.code == 250, "%s", own_outcome.text);
	}
	letter_room_free(&own);
	return NULL;
}

START_TEST(two_deliveries_at_once_are_one_after_the_other)
{
	static char bodies[2][100000];
	pthread_t threads[2];
	size_t messages = 0;
	for (int i = 0; i < 2; i++) {
		memset(bodies[i], 'a' + i, sizeof(bodies[i]) - 1);
		memcpy(bodies[i], "\r\n", 2);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, deliver_many, bodies[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	for (const char *at = content(); *at; messages++) {
		const char *body;
		ck_assert_int_eq(strncmp(at, "From s@d ", 9), 0);
		body = strstr(at, "\n\n") + 2;
		ck_assert_uint_eq(strspn(body, body[0] == 'a' ? "a" : "b"), sizeof(bodies[0]) - 3);
		at = body + sizeof(bodies[0]) - 3;
		ck_assert_int_eq(strncmp(at, "\n\n", 2), 0);
		at += 2;
	}
	ck_assert_uint_eq(messages, 40);
}
END_TEST

START_TEST(S54_a_quota_is_told_and_the_file_is_cut_to_what_it_was)
{
	enum { SIZE = 300000 };
	static char body[SIZE];
	struct rlimit limit = {.rlim_cur = 250000, .rlim_max = RLIM_INFINITY};
	memset(body, 'x', SIZE - 1);
	make("bob", "From x  y\n\nold\n\n");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	deliver(body);
	check_outcome(552, "5.2.2");
	ck_assert(!o.site);
	ck_assert_str_eq(content(), "From x  y\n\nold\n\n");
	deliver("\r\nsmall\r\n");
	check_outcome(250, "2.0.0");
}
END_TEST

START_TEST(S54_a_full_disk_is_waited_for)
{
	static char body[400000];
	memset(body, 'x', sizeof(body) - 1);
	if (mount("tmpfs", tree_base, "tmpfs", 0, "size=200k") < 0) {
		printf("no right to mount: a full disk was not tried\n");
		return;
	}
	close(tree_dir);
	tree_dir = open(tree_base, O_RDONLY | O_DIRECTORY);
	make("bob", "From x  y\n\nold\n\n");
	deliver(body);
	check_outcome(452, "4.3.1");
	ck_assert_str_eq(content(), "From x  y\n\nold\n\n");
	deliver("\r\nsmall\r\n");
	check_outcome(250, "2.0.0");
	close(tree_dir);
	tree_dir = -1;
	ck_assert_int_eq(umount2(tree_base, MNT_DETACH), 0);
}
END_TEST

START_TEST(what_was_not_committed_leaves_nothing)
{
	struct stored_file f;
	struct mbox_place p = place();
	struct letter l = letter("");
	make("bob", "From x  y\n\nold\n\n");
	l.content.fd = tree_large(SLICE("Subject: x\r\n"), SLICE("\r\nlarge\r\n"), &f);
	l.content.header = SLICE_EMPTY;
	f.digest[0] ^= 1;
	l.content.file = f;
	memset(&o, 0, sizeof(o));
	deliver_one(&p, &l, room, &o);
	ck_assert_uint_eq(o.status, JOB_SPOILED);
	ck_assert_str_eq(content(), "From x  y\n\nold\n\n");
	l.content.file.digest[0] ^= 1;
	deliver_one(&p, &l, room, &o);
	check_outcome(250, "2.0.0");
	close(l.content.fd);
}
END_TEST

enum { TOGETHER = 5 };

static struct outcome many[TOGETHER];

static void deliver_together(struct letter letters[TOGETHER])
{
	struct mbox_place p = place();
	struct mbox_item items[TOGETHER];
	memset(many, 0, sizeof(many));
	for (int i = 0; i < TOGETHER; i++)
		items[i] = (struct mbox_item){&letters[i], &many[i]};
	mbox_deliver(&p, items, TOGETHER, room);
}

static size_t messages_in(const char *mailbox)
{
	size_t count = strncmp(mailbox, "From ", 5) == 0;
	for (const char *at = mailbox; (at = strstr(at, "\n\nFrom ")); at++)
		count++;
	return count;
}

START_TEST(of_several_at_once_each_fails_alone_and_leaves_nothing)
{
	struct letter letters[TOGETHER];
	for (int i = 0; i < TOGETHER; i++)
		letters[i] = letter("\r\nFrom here\r\n");
	letters[1].content.header = SLICE("Delivered-To: B@D\r\n");
	deliver_together(letters);
	for (int i = 0; i < TOGETHER; i++)
		ck_assert_uint_eq(many[i].code, i == 1 ? 554 : 250);
	ck_assert_uint_eq(messages_in(content()), TOGETHER - 1);
	deliver_together(letters); /* behind them */
	ck_assert_uint_eq(messages_in(content()), 2 * (TOGETHER - 1));
}
END_TEST

START_TEST(of_several_at_once_what_is_too_large_fails_alone)
{
	enum { LIMIT = 200 * 1024 };
	static char large[LIMIT];
	struct rlimit limit = {LIMIT, LIMIT};
	struct letter letters[TOGETHER];
	memset(large, 'x', sizeof(large) - 1);
	for (int i = 0; i < TOGETHER; i++)
		letters[i] = letter(i == 2 ? large : "\r\nsmall\r\n");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	deliver_together(letters);
	for (int i = 0; i < TOGETHER; i++)
		ck_assert_uint_eq(many[i].code, i == 2 ? 552 : 250);
	ck_assert_uint_eq(messages_in(content()), TOGETHER - 1);
	ck_assert_ptr_null(strstr(content(), "xxx"));
}
END_TEST

START_TEST(of_several_at_once_none_is_delivered_when_the_sync_fails)
{
	struct letter letters[TOGETHER];
	if (!disk_faults_built())
		return;
	setenv("STAGEPOST_FAULTS", "*:fsync:1:EIO", 1);
	for (int i = 0; i < TOGETHER; i++)
		letters[i] = letter("\r\nHello\r\n");
	deliver_together(letters);
	for (int i = 0; i < TOGETHER; i++)
		ck_assert_uint_eq(many[i].code, 451);
	ck_assert_str_eq(content(), "");
}
END_TEST

START_TEST(S28_a_message_that_was_here_before_goes_in_a_loop)
{
	struct mbox_place p = place();
	struct letter l = letter("\r\n");
	l.content.header = SLICE("Delivered-To: B@D\r\n");
	deliver_one(&p, &l, room, &o);
	check_outcome(554, "5.4.6");
	ck_assert_str_eq(content(), "");
}
END_TEST

/* As Debian has it: the directory root:mail 2775, the file USER:mail 0660. */
static int deliver_as_user(void)
{
	struct user_account account = {.uid = USER, .gid = USER};
	struct mbox_place p = place();
	struct letter l = letter("\r\nHello\r\n");
	struct error e;
	umask(077);
	if (!user_become_account(&account, MAIL, &e))
		return 1;
	p.group = MAIL;
	deliver_one(&p, &l, room, &o);
	if (o.code != 250)
		fprintf(stderr, "%s\n", o.text);
	return o.code == 250 && getegid() == USER ? 0 : 2;
}

START_TEST(a_user_has_the_group_of_the_spool_for_the_lock_and_the_new_file)
{
	struct stat st;
	int status;
	if (!user_is_root()) {
		printf("not root: no other user was tried\n");
		return;
	}
	ck_assert_int_eq(fchown(tree_dir, 0, MAIL), 0);
	ck_assert_int_eq(fchmod(tree_dir, 02775), 0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(deliver_as_user());
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(fstatat(tree_dir, "bob", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_uid, USER);
	ck_assert_uint_eq(st.st_gid, MAIL);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	ck_assert(!is_there("bob.lock"));
}
END_TEST

static const struct {
	const char *faults;
	uint32_t code;
	const char *enhanced;
} faults[] = {
    {"*:create:1:EIO", 451, "4.3.0"},	{"*:open:1:ESTALE", 451, "4.2.0"},
    {"*:write:1:ENOSPC", 452, "4.3.1"}, {"*:write:1:EDQUOT", 552, "5.2.2"},
    {"*:write:1:EIO", 451, "4.3.0"},	{"*:fsync:1:EIO", 451, "4.3.0"},
    {"*:fsync:1:EDQUOT", 552, "5.2.2"}, {"*:close:1:EIO", 451, "4.3.0"},
    {"*:read:1:EIO", 451, "4.3.0"},
};

START_TEST(S54_every_error_has_its_code_and_leaves_the_file_as_it_was)
{
	if (!disk_faults_built())
		return;
	make("bob", "From x  y\n\nold\n\n");
	setenv("STAGEPOST_FAULTS", faults[_i].faults, 1);
	disk_faults_role("local-child");
	deliver("\r\nHello\r\n");
	check_outcome(faults[_i].code, faults[_i].enhanced);
	if (!strstr(faults[_i].faults, "close"))
		ck_assert_str_eq(content(), "From x  y\n\nold\n\n");
	ck_assert(!is_there("bob.lock"));
}
END_TEST

/* In a process of its own, since faults are read once; what waitpid() has of it. Its exit code is 1
 * when the message was put off. */
static int deliver_struck(const char *fault)
{
	int state;
	pid_t child = fork();
	if (child == 0) {
		setenv("STAGEPOST_FAULTS", fault, 1);
		disk_faults_role("local-child");
		deliver("\r\nHello\r\n");
		_exit(o.code == 451);
	}
	ck_assert_int_eq(waitpid(child, &state, 0), child);
	return state;
}

START_TEST(a_name_is_durable_before_the_first_message_is_in_the_file)
{
	if (!disk_faults_built())
		return;
	int killed = deliver_struck("*:fsync-dir:1:kill");
	ck_assert(WIFSIGNALED(killed));
	ck_assert(is_there("bob"));
	/* the next one does not take it for durable, once the lock of the dead is old */
	ck_assert_int_eq(unlinkat(tree_dir, "bob.lock", 0), 0);
	int failed = deliver_struck("*:fsync-dir:1:EIO");
	ck_assert(WIFEXITED(failed) && WEXITSTATUS(failed) == 1);
	ck_assert_str_eq(content(), "");
	deliver("\r\nHello\r\n");
	check_outcome(250, "2.0.0");
}
END_TEST

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *s = suite_create("mbox");
	TCase *tc = tcase_create("mbox");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_missing_mailbox_is_made_and_the_message_has_its_form);
	tcase_add_loop_test(tc, lines_that_begin_like_a_new_message_are_quoted, 0, COUNT(texts));
	tcase_add_test(tc, quoting_is_the_same_wherever_pieces_are_cut);
	tcase_add_test(tc, the_first_line_names_the_sender_in_one_word);
	tcase_add_loop_test(tc, a_message_begins_behind_an_empty_line, 0, COUNT(befores));
	tcase_add_loop_test(tc, S51_what_is_no_file_of_ours_alone_is_left_alone, 0,
			    COUNT(in_its_place));
	tcase_add_test(tc, S51_a_locked_mailbox_is_waited_for);
	tcase_add_test(tc, a_stale_lock_is_nobodys);
	tcase_add_test(tc, a_lock_whose_holder_died_is_nobodys);
	tcase_add_test(tc, two_deliveries_at_once_are_one_after_the_other);
	tcase_add_test(tc, S54_a_quota_is_told_and_the_file_is_cut_to_what_it_was);
	tcase_add_test(tc, S54_a_full_disk_is_waited_for);
	tcase_add_test(tc, what_was_not_committed_leaves_nothing);
	tcase_add_test(tc, of_several_at_once_each_fails_alone_and_leaves_nothing);
	tcase_add_test(tc, of_several_at_once_what_is_too_large_fails_alone);
	tcase_add_test(tc, of_several_at_once_none_is_delivered_when_the_sync_fails);
	tcase_add_test(tc, S28_a_message_that_was_here_before_goes_in_a_loop);
	tcase_add_test(tc, a_user_has_the_group_of_the_spool_for_the_lock_and_the_new_file);
	tcase_add_loop_test(tc, S54_every_error_has_its_code_and_leaves_the_file_as_it_was, 0,
			    COUNT(faults));
	tcase_add_test(tc, a_name_is_durable_before_the_first_message_is_in_the_file);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
