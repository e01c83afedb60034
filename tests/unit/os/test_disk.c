/* disk: complete writes, limits, names; and the faults of a FAULTS=1 build. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/clock.h"
#include "common/os/disk_record.h"

static char dir_path[] = "/tmp/test-disk-XXXXXX";
static int dir;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

static bool remove_entry(void *arg, const char *name, unsigned char type)
{
	(void)arg;
	unlinkat(dir, name, type == DT_DIR ? AT_REMOVEDIR : 0);
	return true;
}

static void teardown(void)
{
	disk_list(dir, remove_entry, NULL);
	close(dir);
	rmdir(dir_path);
}

static int make(const char *name)
{
	int fd = disk_create(dir, name, O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(a_vector_is_written_whole_and_read_back)
{
	enum { PARTS = 1000 };
	static char text[PARTS * 17];
	static char back[sizeof(text) + 10];
	struct iovec iov[PARTS + 1];
	int fd = make("a");
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	iov[0] = (struct iovec){NULL, 0};
	for (size_t i = 0; i < PARTS; i++)
		iov[i + 1] = (struct iovec){text + i * 17, 17};
	ck_assert_int_eq(disk_pwritev(fd, iov, PARTS + 1, 4096), 0);
	ck_assert_int_eq(disk_pread(fd, back, sizeof(back), 4096), sizeof(text));
	ck_assert_mem_eq(back, text, sizeof(text));
	ck_assert_int_eq(disk_pread(fd, back, 10, 4096 + sizeof(text)), 0);
	disk_close(fd);
}
END_TEST

START_TEST(a_short_write_goes_on_until_the_error)
{
	char text[1000];
	struct iovec iov[] = {{text, 300}, {text, 700}};
	struct rlimit limit = {600, RLIM_INFINITY};
	struct stat st;
	int fd = make("a");
	memset(text, 'x', sizeof(text));
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(disk_pwritev(fd, iov, 2, 0), -1);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(disk_stat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 600);
	disk_close(fd);
}
END_TEST

START_TEST(a_new_file_must_be_new)
{
	int fd = make("a");
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(disk_create(dir, "a", O_RDWR, 0600), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(symlinkat("nowhere", dir, "link"), 0);
	ck_assert_int_eq(disk_create(dir, "link", O_RDWR, 0600), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(disk_open(dir, "b", O_RDONLY, 0), -1);
	ck_assert_int_eq(errno, ENOENT);
	disk_close(fd);
}
END_TEST

START_TEST(only_a_regular_file_is_opened_as_one)
{
	static const char *const others[] = {"link", "pipe", "folder"};
	int fd = make("a");
	disk_close(fd);
	ck_assert_int_eq(symlinkat("a", dir, "link"), 0);
	ck_assert_int_eq(mkfifoat(dir, "pipe", 0600), 0);
	ck_assert_int_eq(mkdirat(dir, "folder", 0700), 0);
	fd = disk_open_file(dir, "a", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	disk_close(fd);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ck_assert_int_eq(disk_open_file(dir, others[i], O_RDONLY), -1);
		ck_assert_int_eq(errno, EBADMSG);
		ck_assert_int_eq(disk_open_file(dir, others[i], O_WRONLY), -1);
		ck_assert_int_eq(errno, EBADMSG);
	}
	ck_assert_int_eq(disk_open_file(dir, "b", O_RDONLY), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(unlinkat(dir, "folder", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(a_whole_file_is_read_within_its_limit)
{
	static char text[200000];
	struct buffer b;
	int fd = make("a");
	memset(text, 't', sizeof(text));
	ck_assert_int_eq(disk_write(fd, text, sizeof(text)), 0);
	buffer_init(&b, 1 << 20);
	ck_assert_int_eq(disk_read_whole(fd, sizeof(text), &b), 0);
	ck_assert_uint_eq(b.len, sizeof(text));
	ck_assert_mem_eq(buffer_slice(&b).ptr, text, sizeof(text));
	buffer_reset(&b);
	ck_assert_int_eq(disk_read_whole(fd, sizeof(text) - 1, &b), -1);
	ck_assert_int_eq(errno, EFBIG);
	buffer_free(&b);
	buffer_init(&b, 1000);
	ck_assert_int_eq(disk_read_whole(fd, sizeof(text), &b), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	buffer_free(&b);
	disk_close(fd);
}
END_TEST

START_TEST(what_is_cached_is_read_without_waiting)
{
	char text[16];
	int fd = make("a");
	ck_assert_int_eq(disk_pwrite(fd, "cached", 6, 0), 0);
	ssize_t n = disk_pread_now(fd, text, sizeof(text), 0);
	ck_assert(n == 6 || (n < 0 && errno == EAGAIN)); /* a file system may not tell */
	disk_close(fd);
}
END_TEST

START_TEST(space_is_allocated_ahead_and_cut_off)
{
	struct stat st;
	struct disk_space space;
	int fd = make("a");
	ck_assert_int_eq(disk_allocate(fd, 1 << 20), 0);
	ck_assert_int_eq(disk_stat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 1 << 20);
	ck_assert_int_ge(st.st_blocks * 512, 1 << 20);
	ck_assert_int_eq(disk_truncate(fd, 10), 0);
	ck_assert_int_eq(disk_stat_at(dir, "a", &st), 0);
	ck_assert_int_eq(st.st_size, 10);
	ck_assert_int_eq(disk_fdatasync(fd), 0);
	ck_assert_int_eq(disk_fsync(fd), 0);
	ck_assert_int_eq(disk_fsync_dir(dir), 0);
	ck_assert_int_eq(disk_writeback(fd, 0, 10), 0);
	ck_assert_int_eq(disk_writeback_end(fd), 0);
	ck_assert_int_eq(disk_sync_all(dir), 0);
	ck_assert_int_eq(disk_space(fd, &space), 0);
	ck_assert_uint_ge(space.total_bytes, space.free_bytes);
	ck_assert_uint_gt(space.free_files, 0);
	disk_close(fd);
}
END_TEST

START_TEST(a_file_gets_its_name_when_it_is_whole)
{
	struct stat st;
	if (!disk_unnamed_works(dir))
		return; /* nobody calls the others there */
	int fd = disk_create_unnamed(dir, O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(disk_pwrite(fd, "a", 1, 0), 0);
	disk_close(make("b"));
	ck_assert_int_eq(disk_link_unnamed(fd, dir, "b"), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(disk_stat_at(dir, "a", &st), -1);
	ck_assert_int_eq(disk_link_unnamed(fd, dir, "a"), 0);
	disk_close(fd);
	ck_assert_int_eq(disk_stat_at(dir, "a", &st), 0);
	ck_assert_int_eq(st.st_size, 1);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(names_are_linked_renamed_and_removed)
{
	struct stat st;
	disk_close(make("a"));
	ck_assert_int_eq(disk_link(dir, "a", dir, "b"), 0);
	ck_assert_int_eq(disk_link(dir, "a", dir, "b"), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(disk_rename_new(dir, "a", dir, "b"), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(disk_rename_new(dir, "a", dir, "c"), 0);
	disk_close(make("a"));
	ck_assert_int_eq(disk_rename(dir, "a", dir, "c"), 0);
	ck_assert_int_eq(disk_unlink(dir, "c"), 0);
	ck_assert_int_eq(disk_stat_at(dir, "c", &st), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(disk_mkdir(dir, "d", 0700), 0);
	ck_assert_int_eq(disk_rmdir(dir, "d"), 0);
}
END_TEST

struct names {
	char text[64];
	int left;
};

static bool take_name(void *arg, const char *name, unsigned char type)
{
	struct names *n = arg;
	ck_assert(type == DT_REG || type == DT_UNKNOWN);
	strncat(n->text, name, 8);
	return --n->left > 0;
}

START_TEST(a_directory_is_listed_as_often_as_asked)
{
	struct names all = {.left = 100}, one = {.left = 1};
	disk_close(make("x"));
	disk_close(make("y"));
	disk_close(make("z"));
	for (int round = 0; round < 2; round++) {
		all.text[0] = '\0';
		ck_assert_int_eq(disk_list(dir, take_name, &all), 0);
		ck_assert_uint_eq(strlen(all.text), 3);
		ck_assert_ptr_nonnull(strchr(all.text, 'x'));
	}
	ck_assert_int_eq(disk_list(dir, take_name, &one), 0);
	ck_assert_uint_eq(strlen(one.text), 1);
}
END_TEST

/* Three writes and a sync as the role "writer"; exit code: which of them failed, one bit each. */
static int run_with_faults(const char *faults)
{
	pid_t pid = fork();
	if (pid == 0) {
		setenv("STAGEPOST_FAULTS", faults, 1);
		disk_faults_role("writer");
		int fd = openat(dir, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		int failed = 0;
		for (int i = 0; i < 3; i++)
			failed |= (disk_pwrite(fd, "x", 1, (uint64_t)i) < 0) << i;
		failed |= (disk_fdatasync(fd) < 0) << 3;
		_exit(failed);
	}
	int state = -1;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	return state;
}

static const struct {
	const char *faults;
	int failed;
	bool killed;
} strikes[] = {
    {"writer:write:2:EIO", 1 << 1, false},
    {"writer:write:2+:ENOSPC", 1 << 1 | 1 << 2, false},
    {"writer:write:1-2:EROFS", 1 << 0 | 1 << 1, false},
    {"other:write:1:EIO", 0, false},
    {"*:fdatasync:1:EIO,writer:write:1:EDQUOT", 1 << 3 | 1, false},
    {"*:*:3:EIO", 1 << 2, false},
    {"writer:write:3:kill", 0, true},
    {"writer:write:4:kill", 0, false},
    {"writer:write:1:delay=20", 0, false},
};

START_TEST(a_fault_strikes_where_it_is_aimed_and_only_in_its_build)
{
	int state = run_with_faults(strikes[_i].faults);
	if (!disk_faults_built()) {
		ck_assert_int_eq(state, 0);
	} else if (strikes[_i].killed) {
		ck_assert(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);
	} else {
		ck_assert(WIFEXITED(state));
		ck_assert_int_eq(WEXITSTATUS(state), strikes[_i].failed);
	}
}
END_TEST

START_TEST(a_fault_with_a_condition_strikes_only_while_that_holds)
{
	char faults[512];
	int fd = openat(dir, "condition", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	snprintf(faults, sizeof(faults), "while=/proc/self/fd/%d,writer:write:2:EIO", fd);
	ck_assert_int_eq(pwrite(fd, "1", 1, 0), 1);
	int holds = run_with_faults(faults);
	ck_assert_int_eq(pwrite(fd, "0", 1, 0), 1);
	int ended = run_with_faults(faults);
	ck_assert(WIFEXITED(holds) && WIFEXITED(ended));
	ck_assert_int_eq(WEXITSTATUS(holds), disk_faults_built() ? 1 << 1 : 0);
	ck_assert_int_eq(WEXITSTATUS(ended), 0);
	close(fd);
}
END_TEST

START_TEST(a_lie_says_that_a_sync_is_done_and_nothing_else_can_lie)
{
	int lied = run_with_faults("writer:fdatasync:1+:lie,writer:fsync:1+:lie");
	ck_assert(WIFEXITED(lied));
	ck_assert_int_eq(WEXITSTATUS(lied), 0);
	ck_assert_int_eq(run_with_faults("writer:write:1:lie") != 0, disk_faults_built());
}
END_TEST

/* Begin and end of each call that changes something, in order, with the octets; reads are not
 * there. */
START_TEST(a_record_has_each_change_with_its_octets)
{
	char path[64];
	struct disk_entry e;
	unsigned begun = 0, ended = 0;
	if (!disk_faults_built())
		return;
	int record = openat(dir, "record", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), record);
	setenv("STAGEPOST_DISK_RECORD", path, 1);
	int state = run_with_faults("");
	unsetenv("STAGEPOST_DISK_RECORD");
	ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
	for (off_t at = 0; pread(record, &e, sizeof(e), at) == sizeof(e); at += e.size) {
		ck_assert_uint_eq(e.magic, DISK_ENTRY_MAGIC);
		ck_assert_int_ne(e.op, DISK_READ);
		ck_assert_int_ne(e.op, DISK_STAT);
		begun += e.phase == DISK_BEGINS;
		ended += e.phase == DISK_ENDS;
	}
	ck_assert_uint_gt(begun, 0);
	ck_assert_uint_eq(begun, ended);
	close(record);
}
END_TEST

START_TEST(a_fault_that_is_not_understood_ends_the_process)
{
	static const char *const bad[] = {"writer:write:x:EIO",
					  "writer:writ:1:EIO",
					  "writer:write:1:EWHAT",
					  "writer:write:0:EIO",
					  "writer",
					  "while=/nowhere"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(run_with_faults(bad[i]) != 0, disk_faults_built());
}
END_TEST

START_TEST(each_call_is_traced)
{
	char text[512] = "", path[128];
	snprintf(path, sizeof(path), "%s/trace", dir_path);
	setenv("STAGEPOST_DISK_TRACE", path, 1);
	int state = run_with_faults("");
	unsetenv("STAGEPOST_DISK_TRACE");
	ck_assert_int_eq(state, 0);
	if (!disk_faults_built())
		return;
	char command[256];
	snprintf(command, sizeof(command), "cut -d' ' -f1,3,5 %s.writer.* | tr '\\n' ';'", path);
	FILE *f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	pclose(f);
	ck_assert_str_eq(text, "writer write 1;writer write 2;writer write 3;writer fdatasync 1;");
}
END_TEST

/* What opening each name beneath the directory says, as a process that the kernel gives openat2 or
 * not. */
static const struct beneath {
	const char *name;
	int error, error_before_openat2;
} beneath[] = {
    {"sub/in", 0, 0},
    {"sub", 0, 0},
    {".", 0, 0},
    {"inner/in", 0, ENOTDIR}, /* a link to sub */
    {"none/in", ENOENT, ENOENT},
    {"../x", EXDEV, EXDEV},
    {"sub/../../x", EXDEV, EXDEV},
    {"outer/passwd", EXDEV, ENOTDIR}, /* a link to /etc */
    {"upper", EXDEV, ELOOP},	      /* a link to ../ */
    {"/etc/passwd", EXDEV, ENOENT},
};

static int open_all_beneath(bool old_kernel)
{
	if (old_kernel) {
		scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
		if (seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) < 0 ||
		    seccomp_load(f) < 0)
			return 100;
	}
	for (size_t i = 0; i < sizeof(beneath) / sizeof(beneath[0]); i++) {
		const struct beneath *b = &beneath[i];
		int fd = disk_open_beneath(dir, b->name, O_RDONLY);
		int error = fd < 0 ? errno : 0;
		if (error != (old_kernel ? b->error_before_openat2 : b->error)) {
			fprintf(stderr, "%s: %s\n", b->name, strerror(error));
			return (int)i + 1;
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

START_TEST(no_name_leads_out_of_a_directory_that_is_opened_beneath)
{
	int state;
	ck_assert_int_eq(mkdirat(dir, "sub", 0700), 0);
	close(openat(dir, "sub/in", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(symlinkat("sub", dir, "inner"), 0);
	ck_assert_int_eq(symlinkat("/etc", dir, "outer"), 0);
	ck_assert_int_eq(symlinkat("../", dir, "upper"), 0);
	for (int old = 0; old < 2; old++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(open_all_beneath(old));
		ck_assert_int_eq(waitpid(pid, &state, 0), pid);
		ck_assert_int_eq(state, 0);
	}
	ck_assert_int_eq(unlinkat(dir, "sub/in", 0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk");
	TCase *tc = tcase_create("disk");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_file_gets_its_name_when_it_is_whole);
	tcase_add_test(tc, a_vector_is_written_whole_and_read_back);
	tcase_add_test(tc, a_short_write_goes_on_until_the_error);
	tcase_add_test(tc, a_new_file_must_be_new);
	tcase_add_test(tc, only_a_regular_file_is_opened_as_one);
	tcase_add_test(tc, a_whole_file_is_read_within_its_limit);
	tcase_add_test(tc, what_is_cached_is_read_without_waiting);
	tcase_add_test(tc, space_is_allocated_ahead_and_cut_off);
	tcase_add_test(tc, names_are_linked_renamed_and_removed);
	tcase_add_test(tc, a_directory_is_listed_as_often_as_asked);
	tcase_add_loop_test(tc, a_fault_strikes_where_it_is_aimed_and_only_in_its_build, 0,
			    sizeof(strikes) / sizeof(strikes[0]));
	tcase_add_test(tc, a_fault_with_a_condition_strikes_only_while_that_holds);
	tcase_add_test(tc, a_fault_that_is_not_understood_ends_the_process);
	tcase_add_test(tc, a_lie_says_that_a_sync_is_done_and_nothing_else_can_lie);
	tcase_add_test(tc, a_record_has_each_change_with_its_octets);
	tcase_add_test(tc, each_call_is_traced);
	tcase_add_test(tc, no_name_leads_out_of_a_directory_that_is_opened_beneath);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
