/* maildir: deliveries into a real directory, by one thread and by many, and all that goes wrong. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "common/base/queue_id.h"
#include "daemons/local/workers.h"
#include "tests/unit/local/tree.h"

#define BODY   "\r\nHello\r\n"
#define LETTER "Return-Path: <s@d>\nDelivered-To: b@d\nReceived: us\nSubject: x\n\nHello\n"

static struct maildir *maildir;
static struct maildir_room *room;
static unsigned done_count;

static unsigned count_jobs(struct maildir_jobs *jobs)
{
	unsigned count = 0;
	while (!STAILQ_EMPTY(jobs)) {
		STAILQ_REMOVE_HEAD(jobs, next);
		count++;
	}
	return count;
}

/* From a worker's thread. */
static void on_done(void *arg, struct maildir_jobs *done)
{
	(void)arg;
	__atomic_add_fetch(&done_count, count_jobs(done), __ATOMIC_RELAXED);
}

static void setup(void)
{
	tree_setup();
	maildir = maildir_new();
	room = maildir_room_new();
	done_count = 0;
}

static void teardown(void)
{
	maildir_room_free(&room);
	maildir_free(&maildir);
	tree_teardown();
}

static struct maildir_job job_for(const char *path)
{
	static uint64_t message = 1000;
	return (struct maildir_job){.base = tree_dir,
				    .path = path,
				    .host = "mx.example",
				    .message = ++message,
				    .recipient = 1,
				    .attempt = 2,
				    .letter = {.sender = SLICE("s@d"),
					       .address = SLICE("b@d"),
					       .original = SLICE("b@d"),
					       .content = {.trace = SLICE("Received: us\r\n"),
							   .header = SLICE("Subject: x\r\n"),
							   .body = SLICE(BODY),
							   .fd = -1}}};
}

static void deliver(struct maildir_job *j)
{
	struct maildir_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	STAILQ_INSERT_TAIL(&jobs, j, next);
	maildir_deliver(maildir, room, &jobs, &done);
	ck_assert(STAILQ_EMPTY(&jobs));
	ck_assert_uint_eq(count_jobs(&done), 1);
}

static void deliver_well(const char *path)
{
	struct maildir_job j = job_for(path);
	deliver(&j);
	ck_assert_msg(j.outcome.status == JOB_DELIVERED, "%s", j.outcome.text);
}

static void check_outcome(const struct outcome *o, uint32_t code, const char *enhanced)
{
	ck_assert_msg(o->code == code && strcmp(o->enhanced, enhanced) == 0, "%u %s %s", o->code,
		      o->enhanced, o->text);
	ck_assert_int_eq(o->status, code >= 500 ? JOB_FAILED : JOB_DEFERRED);
	ck_assert_ptr_null(strstr(o->text, tree_path)); /* senders read it */
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	ck_assert_int_eq(fstatat(tree_dir, path, &st, 0), 0);
	return st.st_mode & 07777;
}

/* S53 */
START_TEST(a_missing_mailbox_is_made_and_the_message_lies_in_new)
{
	struct buffer b;
	char path[2 * TREE_PATH_SIZE];
	buffer_init(&b, TREE_FILE_MAX);
	deliver_well("example.org/bob");
	tree_read("example.org/bob", &b);
	ck_assert(slice_equal(buffer_slice(&b), SLICE(LETTER)));
	ck_assert_uint_eq(tree_count("example.org/bob", "tmp"), 0);
	ck_assert_uint_eq(tree_count("example.org/bob", "cur"), 0);
	ck_assert_uint_eq(mode_of("example.org"), 0700);
	ck_assert_uint_eq(mode_of("example.org/bob"), 0700);
	ck_assert_uint_eq(mode_of("example.org/bob/tmp"), 0700);
	snprintf(path, sizeof(path), "example.org/bob/new/%s",
		 tree_list("example.org/bob", "new").first);
	ck_assert_uint_eq(mode_of(path), 0600);
	buffer_free(&b);
}
END_TEST

START_TEST(a_name_says_when_who_what_and_where)
{
	struct maildir_job j = job_for("bob");
	unsigned long long seconds, usec;
	unsigned recipient, attempt;
	unsigned long long size, wire_size;
	char id[16], host[32];
	struct buffer b;
	size_t lines;
	int pid;
	buffer_init(&b, TREE_FILE_MAX);
	deliver(&j);
	ck_assert_int_eq(sscanf(tree_list("bob", "new").first,
				"%llu.M%lluP%dQ%12sR%uA%u.%31[^,],S=%llu,W=%llu", &seconds, &usec,
				&pid, id, &recipient, &attempt, host, &size, &wire_size),
			 9);
	ck_assert_int_eq(pid, getpid());
	ck_assert_uint_eq(recipient, 1);
	ck_assert_uint_eq(attempt, 2);
	ck_assert_str_eq(host, "mx.example");
	/* as it lies, and with CRLF at each end of a line */
	tree_read("bob", &b);
	lines = 0;
	for (size_t i = 0; i < b.len; i++)
		lines += buffer_slice(&b).ptr[i] == '\n';
	ck_assert_uint_eq(size, b.len);
	ck_assert_uint_eq(wire_size, b.len + lines);
	buffer_free(&b);
}
END_TEST

START_TEST(what_a_dead_attempt_left_in_tmp_goes_with_the_next)
{
	struct maildir_job j = job_for("bob");
	char id[QUEUE_ID_LEN + 1], path[128];
	deliver_well("bob");
	queue_id_text(j.message, id);
	for (unsigned attempt = 1; attempt <= 2; attempt++) {
		snprintf(path, sizeof(path), "bob/tmp/Q%sR1A%u.mx.example", id, attempt);
		close(openat(tree_dir, path, O_CREAT | O_WRONLY, 0600));
	}
	ck_assert_uint_eq(tree_count("bob", "tmp"), 2);
	deliver(&j);
	ck_assert_int_eq(j.outcome.status, JOB_DELIVERED);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
	ck_assert_uint_eq(tree_count("bob", "new"), 2);
}
END_TEST

START_TEST(a_host_name_can_not_break_a_file_name)
{
	char host[MAILDIR_HOST_MAX + 1], longest[300];
	maildir_host(SLICE("a/b:c.example"), host);
	ck_assert_str_eq(host, "a\\057b\\072c.example");
	memset(longest, '/', sizeof(longest));
	maildir_host(slice_make(longest, sizeof(longest)), host);
	ck_assert_uint_eq(strlen(host), MAILDIR_HOST_MAX);
}
END_TEST

START_TEST(what_is_missing_of_a_mailbox_is_made)
{
	ck_assert_int_eq(mkdirat(tree_dir, "bob", 0750), 0);
	ck_assert_int_eq(mkdirat(tree_dir, "bob/new", 0750), 0);
	deliver_well("bob");
	ck_assert_uint_eq(mode_of("bob"), 0750); /* what is there stays */
	ck_assert_uint_eq(mode_of("bob/tmp"), 0700);
	ck_assert_uint_eq(mode_of("bob/cur"), 0700);
}
END_TEST

START_TEST(a_mailbox_that_was_removed_is_made_again)
{
	char gone[2 * TREE_PATH_SIZE];
	deliver_well("d/bob");
	snprintf(gone, sizeof(gone), "%s/d", tree_base);
	nftw(gone, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	deliver_well("d/bob");
	ck_assert_uint_eq(tree_count("d/bob", "new"), 1);
	/* only one part of it */
	ck_assert_int_eq(renameat(tree_dir, "d/bob/new", tree_dir, "old"), 0);
	snprintf(gone, sizeof(gone), "%s/old", tree_base);
	nftw(gone, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	deliver_well("d/bob");
	ck_assert_uint_eq(tree_count("d/bob", "new"), 1);
}
END_TEST

START_TEST(more_mailboxes_than_are_kept_open)
{
	enum { MORE = MAILBOXES_MAX + 40 };
	char path[32];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MORE; i++) {
			snprintf(path, sizeof(path), "u%d", i);
			deliver_well(path);
		}
	}
	for (int i = 0; i < MORE; i++) {
		snprintf(path, sizeof(path), "u%d", i);
		ck_assert_uint_eq(tree_count(path, "new"), 2);
	}
}
END_TEST

/* Many threads, few mailboxes, all of them made meanwhile. */
START_TEST(many_threads_deliver_each_message_once)
{
	enum { MESSAGES = 1200, BOXES = 7 };
	struct maildir_job *jobs = memory_zero(MESSAGES, sizeof(*jobs));
	struct workers *workers = workers_new(maildir, WORKERS, on_done, NULL);
	size_t found = 0;
	char path[BOXES][32];
	for (int i = 0; i < BOXES; i++)
		snprintf(path[i], sizeof(path[i]), "d%d/u%d", i % 2, i);
	for (int i = 0; i < MESSAGES; i++) {
		jobs[i] = job_for(path[i % 2 ? 0 : i % BOXES]);
		workers_give(workers, &jobs[i]);
	}
	workers_free(&workers);
	ck_assert_uint_eq(done_count, MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		ck_assert_int_eq(jobs[i].outcome.status, JOB_DELIVERED);
	for (int i = 0; i < BOXES; i++) {
		found += tree_count(path[i], "new");
		ck_assert_uint_eq(tree_count(path[i], "tmp"), 0);
	}
	ck_assert_uint_eq(found, MESSAGES);
	memory_free(jobs);
}
END_TEST

START_TEST(a_link_may_lead_about_but_not_out)
{
	struct maildir_job j;
	ck_assert_int_eq(mkdirat(tree_dir, "other", 0700), 0);
	ck_assert_int_eq(symlinkat("other/bob", tree_dir, "bob"), 0);
	ck_assert_int_eq(mkdirat(tree_dir, "other/bob", 0700), 0);
	deliver_well("bob");
	ck_assert_uint_eq(tree_count("other/bob", "new"), 1);
	/* out, by a link to a directory, on the way, and in the mailbox */
	ck_assert_int_eq(symlinkat("..", tree_dir, "up"), 0);
	ck_assert_int_eq(symlinkat(tree_path, tree_dir, "absolute"), 0);
	ck_assert_int_eq(mkdirat(tree_dir, "eve", 0700), 0);
	ck_assert_int_eq(symlinkat("../..", tree_dir, "eve/new"), 0);
	for (const char *const *path =
		 (const char *const[]){"up", "absolute/x", "up/x", "eve", NULL};
	     *path; path++) {
		j = job_for(*path);
		deliver(&j);
		check_outcome(&j.outcome, 451, "4.2.0");
		ck_assert(j.outcome.site);
	}
	ck_assert_uint_eq(tree_count("..", "."), 1); /* mail, and nothing beside it */
}
END_TEST

START_TEST(a_link_to_nothing_is_not_followed_into_being)
{
	struct maildir_job j = job_for("bob");
	ck_assert_int_eq(symlinkat("nowhere", tree_dir, "bob"), 0);
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.1");
	ck_assert_int_eq(faccessat(tree_dir, "nowhere", F_OK, 0), -1);
}
END_TEST

START_TEST(a_mail_directory_that_is_not_there_is_waited_for)
{
	struct maildir_job j = job_for("bob");
	j.base = -1;
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.1");
	/* removed under our feet: not made again */
	ck_assert_int_eq(rmdir(tree_base), 0);
	j = job_for("bob");
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.1");
	ck_assert_int_eq(access(tree_base, F_OK), -1);
}
END_TEST

START_TEST(a_file_in_the_place_of_a_mailbox_is_trouble)
{
	struct maildir_job j = job_for("bob");
	close(openat(tree_dir, "bob", O_CREAT | O_WRONLY, 0600));
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.0");
}
END_TEST

START_TEST(a_loop_and_too_many_hops_leave_nothing)
{
	struct maildir_job j = job_for("bob");
	j.letter.content.header = SLICE("Delivered-To: b@d\r\n");
	deliver(&j);
	check_outcome(&j.outcome, 554, "5.4.6");
	ck_assert(!j.outcome.site);
	ck_assert_uint_eq(tree_count("bob", "new"), 0);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
}
END_TEST

static char *large_body(size_t size)
{
	char *body = memory_get(size);
	for (size_t i = 0; i < size; i++)
		body[i] = "\r\nline of text "[i % 15];
	return body;
}

START_TEST(a_large_message_comes_from_its_file_and_is_checked)
{
	enum { SIZE = 15 * 70000 };
	char *body = large_body(SIZE);
	struct maildir_job j = job_for("bob");
	struct content *c = &j.letter.content;
	struct buffer b;
	c->fd = tree_large(c->header, slice_make(body, SIZE), &c->file);
	c->header = c->body = SLICE_EMPTY;
	deliver(&j);
	ck_assert_msg(j.outcome.status == JOB_DELIVERED, "%s", j.outcome.text);
	buffer_init(&b, TREE_FILE_MAX);
	tree_read("bob", &b);
	ck_assert_uint_eq(b.len, sizeof(LETTER) - 1 - 7 + SIZE - SIZE / 15);
	ck_assert(slice_starts(buffer_slice(&b), SLICE("Return-Path: <s@d>\nDelivered-To: b@d\n"
						       "Received: us\nSubject: x\n\nline of ")));
	buffer_free(&b);
	/* one octet, anywhere, and nothing is delivered */
	for (int i = 0; i < 3; i++) {
		off_t at = (off_t[]){LARGE_HEAD_SIZE, LARGE_HEAD_SIZE + SIZE / 2,
				     (off_t)c->file.length - 1}[i];
		struct maildir_job again = job_for("eve");
		char octet, other;
		again.letter = j.letter;
		ck_assert_int_eq(pread(c->fd, &octet, 1, at), 1);
		other = (char)(octet ^ 1);
		ck_assert_int_eq(pwrite(c->fd, &other, 1, at), 1);
		deliver(&again);
		ck_assert_int_eq(again.outcome.status, JOB_SPOILED);
		ck_assert_int_eq(pwrite(c->fd, &octet, 1, at), 1);
	}
	ck_assert_uint_eq(tree_count("eve", "new"), 0);
	ck_assert_uint_eq(tree_count("eve", "tmp"), 0);
	close(c->fd);
	memory_free(body);
}
END_TEST

static struct maildir_job large_job(const char *path, char **body, size_t size)
{
	struct maildir_job j = job_for(path);
	*body = large_body(size);
	j.letter.content.body = slice_make(*body, size);
	return j;
}

/* S54 */
START_TEST(a_file_over_the_largest_allowed_goes_back)
{
	struct rlimit limit = {300 * 1024, 300 * 1024};
	char *body;
	struct maildir_job j = large_job("bob", &body, 1024 * 1024);
	signal(SIGXFSZ, SIG_IGN);
	deliver_well("bob");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	deliver(&j);
	check_outcome(&j.outcome, 552, "5.2.2");
	ck_assert(!j.outcome.site);
	ck_assert_uint_eq(tree_count("bob", "new"), 1);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
	memory_free(body);
}
END_TEST

START_TEST(a_full_disk_is_waited_for)
{
	char *body;
	struct maildir_job j = large_job("bob", &body, 1024 * 1024);
	if (mount("tmpfs", tree_base, "tmpfs", 0, "size=200k") < 0) {
		printf("no right to mount: a full disk was not tried\n");
		memory_free(body);
		return;
	}
	j.base = open(tree_base, O_RDONLY | O_DIRECTORY);
	close(tree_dir);
	tree_dir = j.base;
	deliver_well("bob"); /* its job uses the new tree_dir */
	deliver(&j);
	ck_assert_int_eq(j.outcome.code, 452);
	check_outcome(&j.outcome, 452, "4.3.1");
	ck_assert(j.outcome.site);
	ck_assert_uint_eq(tree_count("bob", "new"), 1);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
	deliver_well("bob"); /* what fits still comes */
	ck_assert_int_eq(umount2(tree_base, MNT_DETACH), 0);
	memory_free(body);
}
END_TEST

START_TEST(a_mailbox_of_another_user_is_waited_for)
{
	struct maildir_job j = job_for("bob");
	if (getuid() != 0)
		return; /* who could make one */
	ck_assert_int_eq(mkdirat(tree_dir, "bob", 0700), 0);
	ck_assert_int_eq(fchmod(tree_dir, 0755), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.0");
	j = job_for("eve"); /* nor can one be made there */
	deliver(&j);
	check_outcome(&j.outcome, 451, "4.2.0");
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(no_descriptor_left_is_waited_for)
{
	struct rlimit limit;
	struct maildir_job j = job_for("bob");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)tree_dir + 1;
	deliver_well("eve");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	deliver(&j);
	check_outcome(&j.outcome, 452, "4.3.0");
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	deliver(&j);
	ck_assert_int_eq(j.outcome.status, JOB_DELIVERED);
}
END_TEST

/* NFS and others know no rename that replaces nothing. */
START_TEST(a_link_serves_where_a_rename_could_replace)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	ck_assert_int_eq(seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(renameat2), 0), 0);
	ck_assert_int_eq(seccomp_load(f), 0);
	seccomp_release(f);
	deliver_well("bob");
	ck_assert_uint_eq(tree_count("bob", "new"), 1);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
}
END_TEST

static const struct {
	const char *faults;
	uint32_t code;
	const char *enhanced;
} faults[] = {
    {"*:create:1:EIO", 451, "4.3.0"},	 {"*:create:1:EDQUOT", 552, "5.2.2"},
    {"*:write:1:ENOSPC", 452, "4.3.1"},	 {"*:write:1:EDQUOT", 552, "5.2.2"},
    {"*:write:1:ESTALE", 451, "4.2.0"},	 {"*:write:1:EAGAIN", 451, "4.2.0"},
    {"*:fsync:1:EIO", 451, "4.3.0"},	 {"*:close:3:EIO", 451, "4.3.0"},
    {"*:rename:1:EIO", 451, "4.3.0"},	 {"*:rename:1:ENOSPC", 452, "4.3.1"},
    {"*:fsync-dir:1:EIO", 451, "4.3.0"}, {"*:open:1:EMFILE", 452, "4.3.0"},
    {"*:open:3:EROFS", 451, "4.3.0"},
};

/* I8 of the faults: nothing half-written, nothing left */
/* S53, S54 */
START_TEST(whatever_call_fails_nothing_is_left_and_the_next_comes_through)
{
	struct maildir_job j = job_for("bob");
	if (!disk_faults_built())
		return;
	for (const char *const *part =
		 (const char *const[]){"bob", "bob/tmp", "bob/new", "bob/cur", NULL};
	     *part; part++)
		ck_assert_int_eq(mkdirat(tree_dir, *part, 0700), 0);
	setenv("STAGEPOST_FAULTS", faults[_i].faults, 1);
	deliver(&j);
	check_outcome(&j.outcome, faults[_i].code, faults[_i].enhanced);
	ck_assert_uint_eq(tree_count("bob", "new"), 0);
	ck_assert_uint_eq(tree_count("bob", "tmp"), 0);
	deliver_well("bob");
}
END_TEST

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int main(void)
{
	Suite *s = suite_create("maildir");
	TCase *tc = tcase_create("maildir");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_missing_mailbox_is_made_and_the_message_lies_in_new);
	tcase_add_test(tc, a_name_says_when_who_what_and_where);
	tcase_add_test(tc, what_a_dead_attempt_left_in_tmp_goes_with_the_next);
	tcase_add_test(tc, a_host_name_can_not_break_a_file_name);
	tcase_add_test(tc, what_is_missing_of_a_mailbox_is_made);
	tcase_add_test(tc, a_mailbox_that_was_removed_is_made_again);
	tcase_add_test(tc, more_mailboxes_than_are_kept_open);
	tcase_add_test(tc, many_threads_deliver_each_message_once);
	tcase_add_test(tc, a_link_may_lead_about_but_not_out);
	tcase_add_test(tc, a_link_to_nothing_is_not_followed_into_being);
	tcase_add_test(tc, a_mail_directory_that_is_not_there_is_waited_for);
	tcase_add_test(tc, a_file_in_the_place_of_a_mailbox_is_trouble);
	tcase_add_test(tc, a_loop_and_too_many_hops_leave_nothing);
	tcase_add_test(tc, a_large_message_comes_from_its_file_and_is_checked);
	tcase_add_test(tc, a_file_over_the_largest_allowed_goes_back);
	tcase_add_test(tc, a_full_disk_is_waited_for);
	tcase_add_test(tc, a_mailbox_of_another_user_is_waited_for);
	tcase_add_test(tc, no_descriptor_left_is_waited_for);
	tcase_add_test(tc, a_link_serves_where_a_rename_could_replace);
	tcase_add_loop_test(tc, whatever_call_fails_nothing_is_left_and_the_next_comes_through, 0,
			    COUNT(faults));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
