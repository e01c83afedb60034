/* batch: messages that go the way together: what fails fails alone, in every order of steps that a
 * death can cut. */
#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "common/base/queue_id.h"
#include "daemons/local/maildir.h"
#include "daemons/local/sync.h"
#include "tests/unit/local/tree.h"

enum { BATCH = 24, BOXES = 6 };

#define BODY_START "\r\nHello\r\n"
#define LETTER_END "\nHello\n"

static struct maildir *maildir;
static struct maildir_room *room;
static struct maildir_job jobs[BATCH];
static char paths[BOXES][32];

static void setup(void)
{
	tree_setup();
	maildir = maildir_new();
	room = maildir_room_new();
	for (int i = 0; i < BOXES; i++)
		snprintf(paths[i], sizeof(paths[i]), "d/u%d", i);
}

static void teardown(void)
{
	maildir_room_free(&room);
	maildir_free(&maildir);
	tree_teardown();
}

static struct maildir_job job_for(const char *path, uint64_t message)
{
	return (struct maildir_job){.base = tree_dir,
				    .path = path,
				    .host = "mx.example",
				    .message = message,
				    .recipient = 1,
				    .attempt = 1,
				    .letter = {.sender = SLICE("s@d"),
					       .address = SLICE("b@d"),
					       .original = SLICE("b@d"),
					       .content = {.header = SLICE("Subject: x\r\n"),
							   .body = SLICE(BODY_START),
							   .fd = -1}}};
}

static void fill(void)
{
	for (int i = 0; i < BATCH; i++)
		jobs[i] = job_for(paths[i % BOXES], (uint64_t)(1000 + i));
}

static void deliver(size_t count)
{
	struct maildir_jobs list = STAILQ_HEAD_INITIALIZER(list);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	struct maildir_job *j;
	for (size_t i = 0; i < count; i++)
		STAILQ_INSERT_TAIL(&list, &jobs[i], next);
	maildir_deliver(maildir, room, &list, &done);
	ck_assert(STAILQ_EMPTY(&list));
	STAILQ_FOREACH (j, &done, next)
		count--;
	ck_assert_uint_eq(count, 0);
}

static size_t delivered(void)
{
	size_t count = 0;
	for (int i = 0; i < BATCH; i++)
		count += jobs[i].outcome.status == JOB_DELIVERED;
	return count;
}

static size_t in_all(const char *part)
{
	size_t count = 0, n;
	for (int i = 0; i < BOXES; i++) {
		n = tree_count(paths[i], part);
		count += n == SIZE_MAX ? 0 : n;
	}
	return count;
}

static bool file_is_whole(const char *path)
{
	char text[256] = "";
	int fd = openat(tree_dir, path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > (ssize_t)sizeof(LETTER_END) &&
	       strcmp(text + n - (sizeof(LETTER_END) - 1), LETTER_END) == 0;
}

static bool look(void *arg, const char *name, unsigned char type)
{
	char path[2 * TREE_PATH_SIZE];
	(void)type;
	snprintf(path, sizeof(path), "%s/new/%s", (const char *)arg, name);
	ck_assert_msg(file_is_whole(path), "%s is torn", path);
	return true;
}

/* Every file in new/ is a whole message. */
static void nothing_is_torn(void)
{
	for (int i = 0; i < BOXES; i++) {
		char path[sizeof(paths) + 8];
		snprintf(path, sizeof(path), "%s/new", paths[i]);
		int fd = openat(tree_dir, path, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			continue;
		ck_assert_int_eq(disk_list(fd, look, paths[i]), 0);
		close(fd);
	}
}

START_TEST(a_batch_lies_in_its_mailboxes_each_message_once)
{
	for (int round = 1; round <= 2; round++) {
		fill();
		deliver(BATCH);
		ck_assert_uint_eq(delivered(), BATCH);
		for (int i = 0; i < BOXES; i++)
			ck_assert_uint_eq(tree_count(paths[i], "new"),
					  (size_t)(round * BATCH / BOXES));
		ck_assert_uint_eq(in_all("tmp"), 0);
	}
	nothing_is_torn();
}
END_TEST

START_TEST(more_than_a_batch_is_left_for_the_next)
{
	enum { MORE = MAILDIR_BATCH_MAX + 3 };
	struct maildir_job *many = memory_zero(MORE, sizeof(*many));
	struct maildir_jobs list = STAILQ_HEAD_INITIALIZER(list);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	for (int i = 0; i < MORE; i++) {
		many[i] = job_for("bob", (uint64_t)(1 + i));
		STAILQ_INSERT_TAIL(&list, &many[i], next);
	}
	maildir_deliver(maildir, room, &list, &done);
	ck_assert_uint_eq(tree_count("bob", "new"), MAILDIR_BATCH_MAX);
	ck_assert_ptr_eq(STAILQ_FIRST(&list), &many[MAILDIR_BATCH_MAX]);
	memory_free(many);
}
END_TEST

START_TEST(what_has_no_mailbox_fails_alone)
{
	fill();
	ck_assert_int_eq(mkdirat(tree_dir, "d", 0700), 0);
	close(openat(tree_dir, paths[1], O_CREAT | O_WRONLY, 0600)); /* a file in its place */
	jobs[2].letter.content.header = SLICE("Delivered-To: b@d\r\n");
	jobs[3].base = -1;
	deliver(BATCH);
	ck_assert_uint_eq(jobs[1].outcome.code, 451);
	ck_assert_uint_eq(jobs[2].outcome.code, 554);
	ck_assert_uint_eq(jobs[3].outcome.code, 451);
	ck_assert_uint_eq(delivered(), BATCH - BATCH / BOXES - 2);
	ck_assert_uint_eq(in_all("new"), delivered());
	ck_assert_uint_eq(in_all("tmp"), 0);
}
END_TEST

/* Its directories are open, and go away: the others' messages are not held up by that. */
START_TEST(a_mailbox_that_was_removed_is_made_again_for_its_part_of_the_batch)
{
	char gone[2 * TREE_PATH_SIZE];
	fill();
	deliver(BATCH);
	snprintf(gone, sizeof(gone), "%s/%s", tree_base, paths[0]);
	nftw(gone, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	fill();
	deliver(BATCH);
	for (int i = 0; i < BATCH; i++)
		ck_assert_msg(jobs[i].outcome.status == JOB_DELIVERED, "%s", jobs[i].outcome.text);
	ck_assert_uint_eq(tree_count(paths[0], "new"), BATCH / BOXES);
	ck_assert_uint_eq(tree_count(paths[1], "new"), 2 * BATCH / BOXES);
}
END_TEST

/* A large message in the middle does not fit: it alone is tried later. */
START_TEST(a_disk_that_is_full_in_the_middle_defers_what_does_not_fit)
{
	enum { TOO_LARGE = 400 * 1024, WHICH = 5 };
	if (mount("tmpfs", tree_base, "tmpfs", 0, "size=300k") < 0) {
		printf("no right to mount: a full disk was not tried\n");
		return;
	}
	close(tree_dir);
	tree_dir = open(tree_base, O_RDONLY | O_DIRECTORY);
	char *body = memory_zero(1, TOO_LARGE);
	fill();
	jobs[WHICH].letter.content.body = slice_make(body, TOO_LARGE);
	deliver(BATCH);
	ck_assert_uint_eq(jobs[WHICH].outcome.code, 452);
	ck_assert_str_eq(jobs[WHICH].outcome.enhanced, "4.3.1");
	ck_assert_uint_eq(delivered(), BATCH - 1);
	ck_assert_uint_eq(in_all("new"), BATCH - 1);
	ck_assert_uint_eq(in_all("tmp"), 0);
	nothing_is_torn();
	memory_free(body);
	ck_assert_int_eq(umount2(tree_base, MNT_DETACH), 0);
}
END_TEST

static const struct fault {
	const char *faults;
	int first, last; /* jobs that are deferred; -1: none */
} faults[] = {
    {"*:create:3:ENOSPC", 2, 2},
    {"*:write:4:EIO", 3, 3},
    {"*:rename:1-2:EIO,*:link:1-2:EIO", 0, 1},
    /* the whole says nothing of whose error it was: each is asked */
    {"*:sync-all:1:EIO", -1, -1},
    {"*:sync-all:1:EIO,*:fsync:3:EIO", 2, 2},
    {"*:sync-all:1+:EIO", -1, -1},
    {"*:sync-all:1:EIO,*:fsync:1+:ENOSPC", 0, BATCH - 1},
};

static void make_boxes(void)
{
	fill();
	deliver(BATCH);
	ck_assert_uint_eq(delivered(), BATCH);
}

static void leave_draft(const struct maildir_job *j, uint32_t attempt)
{
	char id[QUEUE_ID_LEN + 1], path[128];
	queue_id_text(j->message, id);
	snprintf(path, sizeof(path), "%s/tmp/Q%sR1A%u.mx.example", j->path, id, attempt);
	close(openat(tree_dir, path, O_CREAT | O_WRONLY, 0600));
}

START_TEST(what_dead_attempts_left_in_tmp_goes_with_a_batch_too)
{
	make_boxes();
	fill();
	jobs[0].attempt = 3;
	leave_draft(&jobs[0], 1);
	leave_draft(&jobs[0], 2);
	jobs[1].retried = true; /* its number does not count */
	leave_draft(&jobs[1], 1);
	ck_assert_uint_eq(in_all("tmp"), 3);
	deliver(BATCH);
	ck_assert_uint_eq(delivered(), BATCH);
	ck_assert_uint_eq(in_all("tmp"), 0);
}
END_TEST

/* I8 of the faults */
START_TEST(what_fails_in_a_batch_fails_alone_and_leaves_nothing)
{
	const struct fault *f = &faults[_i];
	int lost = f->first < 0 ? 0 : f->last - f->first + 1;
	if (!disk_faults_built())
		return;
	pid_t pid = fork();
	if (pid == 0) { /* the calls that make the mailboxes do not count */
		make_boxes();
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	setenv("STAGEPOST_FAULTS", f->faults, 1); /* read at the first call */
	if (strstr(f->faults, "sync-all") && !disk_sync_all_tells(tree_dir))
		return;
	fill();
	deliver(BATCH);
	for (int i = 0; i < BATCH; i++)
		ck_assert_msg((jobs[i].outcome.status == JOB_DELIVERED) ==
				  (f->first < 0 || i < f->first || i > f->last),
			      "%s: %d: %s", f->faults, i, jobs[i].outcome.text);
	ck_assert_uint_eq(in_all("new"), (size_t)(2 * BATCH - lost));
	ck_assert_uint_eq(in_all("tmp"), 0);
	nothing_is_torn();
}
END_TEST

/* Where the process ends; after each the same attempt does not come again, but the next one does.
 */
static const char *const deaths[] = {
    "*:create:1:kill",
    "*:create:10:kill",
    "*:write:7:kill",
    "*:sync-all:1:kill",
    "*:close:9:kill",
    "*:rename:1:kill,*:link:1:kill",
    "*:rename:12:kill,*:link:12:kill",
    "*:rename:24:kill,*:link:24:kill",
    "*:sync-all:2:kill",
    "*:fsync-dir:1:kill",
};

START_TEST(a_death_between_the_steps_tears_nothing_and_the_next_attempt_delivers_all)
{
	if (!disk_faults_built())
		return;
	pid_t pid = fork();
	if (pid == 0) {
		setenv("STAGEPOST_FAULTS", deaths[_i], 1);
		fill();
		deliver(BATCH);
		_exit(0); /* that call was not among them, on this file system */
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	size_t before = in_all("new");
	nothing_is_torn();
	fill();
	for (int i = 0; i < BATCH; i++)
		jobs[i].attempt = 2;
	deliver(BATCH);
	ck_assert_uint_eq(delivered(), BATCH);
	ck_assert_uint_eq(in_all("new"), before + BATCH);
	ck_assert_uint_eq(in_all("tmp"), 0);
	nothing_is_torn();
}
END_TEST

/* The trace of a batch as one letter for each call: w(rite), S(ync of all), s(ync), r(ename) or
 * link. */
static void trace_of_batch(char *letters, size_t size)
{
	char command[256];
	snprintf(command, sizeof(command),
		 "cat %s/trace.*.* | cut -d' ' -f3 | sed -n 's/^write$/w/p;s/^sync-all$/S/p;"
		 "s/^fsync.*/s/p;s/^rename$/r/p;s/^link$/r/p' | tr -d '\\n'",
		 tree_path);
	FILE *f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	letters[0] = '\0';
	ck_assert_ptr_nonnull(fgets(letters, (int)size, f));
	pclose(f);
}

/* How many letters are one way to sync that many: of the whole, which on ext4 ends with a sync that
 * has the disk flushed, or of each. */
static size_t syncs_in(const char *letters, size_t count)
{
	struct statfs s;
	ck_assert_int_eq(fstatfs(tree_dir, &s), 0);
	size_t flushes = s.f_type == EXT4_SUPER_MAGIC ? 1 : 0;
	if (letters[0] != 'S') {
		ck_assert_msg(strspn(letters, "s") == count, "%s", letters);
		return count;
	}
	ck_assert_msg(strspn(letters + 1, "s") == flushes, "%s", letters);
	return 1 + flushes;
}

START_TEST(nothing_is_moved_before_it_is_synced_nor_reported_before_its_directory_is)
{
	char path[TREE_PATH_SIZE], letters[1024], *at;
	if (!disk_faults_built())
		return;
	snprintf(path, sizeof(path), "%s/trace", tree_path);
	pid_t pid = fork();
	if (pid == 0) {
		make_boxes();
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	setenv("STAGEPOST_DISK_TRACE", path, 1);
	disk_faults_role("local");
	fill();
	deliver(BATCH);
	trace_of_batch(letters, sizeof(letters));
	at = letters;
	ck_assert_uint_eq(strspn(at, "w"), BATCH);
	at += BATCH;
	at += syncs_in(at, BATCH);
	ck_assert_uint_eq(strspn(at, "r"), BATCH);
	at += BATCH;
	at += syncs_in(at, BOXES);
	ck_assert_msg(*at == '\0', "%s", letters);
}
END_TEST

/* Others fill the file system: to sync it whole is given up for syncs of ours alone, at once when
 * it takes very long. */
static const struct {
	const char *faults;
	int least, most; /* syncs of the whole in 80 rounds */
} slow[] = {
    /* until the other way is tried for the first time, and now and then */
    {"*:sync-all:1+:delay=20", 10, 24},
    {"*:sync-all:1+:delay=150", 1, 5},
};

START_TEST(a_file_system_that_is_slow_as_a_whole_is_synced_in_parts)
{
	enum { ROUNDS = 80, FILES = 8 };
	char path[TREE_PATH_SIZE], command[TREE_PATH_SIZE + 64];
	struct sync_costs *costs;
	struct sync_batch b;
	struct sync_item items[FILES];
	int wholes = -1;
	if (!disk_faults_built())
		return;
	costs = sync_costs_new();
	setenv("STAGEPOST_FAULTS", slow[_i].faults, 1);
	snprintf(path, sizeof(path), "%s/trace", tree_path);
	setenv("STAGEPOST_DISK_TRACE", path, 1);
	disk_faults_role("local");
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "f%d", i);
		items[i] = (struct sync_item){openat(tree_dir, path, O_CREAT | O_RDWR, 0600), 7, 0};
	}
	for (int i = 0; i < ROUNDS; i++) {
		sync_begin(&b, costs);
		sync_place(&b, 7, tree_dir);
		sync_run(&b, SYNC_FILES, items, FILES);
		for (int k = 0; k < FILES; k++)
			ck_assert_int_eq(items[k].error, 0);
		sync_end(&b);
	}
	snprintf(command, sizeof(command), "grep -c ' sync-all ' %s/trace.local.*", tree_path);
	FILE *f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%d", &wholes), 1);
	pclose(f);
	ck_assert_int_ge(wholes, slow[_i].least);
	ck_assert_int_le(wholes, slow[_i].most);
	sync_costs_free(&costs);
}
END_TEST

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int main(void)
{
	Suite *s = suite_create("batch");
	TCase *tc = tcase_create("batch");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_batch_lies_in_its_mailboxes_each_message_once);
	tcase_add_test(tc, more_than_a_batch_is_left_for_the_next);
	tcase_add_test(tc, what_has_no_mailbox_fails_alone);
	tcase_add_test(tc, a_mailbox_that_was_removed_is_made_again_for_its_part_of_the_batch);
	tcase_add_test(tc, a_disk_that_is_full_in_the_middle_defers_what_does_not_fit);
	tcase_add_test(tc, what_dead_attempts_left_in_tmp_goes_with_a_batch_too);
	tcase_add_loop_test(tc, what_fails_in_a_batch_fails_alone_and_leaves_nothing, 0,
			    COUNT(faults));
	tcase_add_loop_test(
	    tc, a_death_between_the_steps_tears_nothing_and_the_next_attempt_delivers_all, 0,
	    COUNT(deaths));
	tcase_add_test(tc,
		       nothing_is_moved_before_it_is_synced_nor_reported_before_its_directory_is);
	tcase_add_loop_test(tc, a_file_system_that_is_slow_as_a_whole_is_synced_in_parts, 0,
			    COUNT(slow));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
