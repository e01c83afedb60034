/* file: what of a drop directory is a letter. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/os/disk.h"
#include "daemons/pickup/pickup.h"

static char path[64];
static int dir;

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/stagepost-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

static bool remove_one(void *arg, const char *name, unsigned char type)
{
	(void)arg, (void)type;
	return unlinkat(dir, name, 0) == 0;
}

static void teardown(void)
{
	disk_list(dir, remove_one, NULL);
	close(dir);
	rmdir(path);
}

/* A letter as sendmail writes it; the first `octets` of it. */
static void write_letter(const char *name, struct slice content, size_t octets)
{
	struct drop d = {.sender = SLICE("a@example.org")};
	struct buffer envelope, all;
	char front[DROP_FRONT], end[DROP_END];
	buffer_init(&envelope, DROP_ENVELOPE_MAX);
	buffer_init(&all, 1024 * 1024);
	ck_assert(drop_begin(&d, &envelope) && drop_add(&envelope, SLICE("b@example.org")));
	drop_front(buffer_slice(&envelope), content.len, front);
	buffer_append(&all, slice_make(front, sizeof(front)));
	buffer_append(&all, buffer_slice(&envelope));
	buffer_append(&all, content);
	drop_end(crc32c(0, all.data, all.len), end);
	buffer_append(&all, slice_make(end, sizeof(end)));
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct slice some = slice_sub(buffer_slice(&all), 0, octets);
	ck_assert_int_eq(write(fd, some.ptr, some.len), (ssize_t)some.len);
	close(fd);
	buffer_free(&envelope);
	buffer_free(&all);
}

static enum file_result open_one(const char *name, struct file *f)
{
	const char *why = NULL;
	enum file_result result = file_open(dir, name, f, &why);
	ck_assert(result == FILE_GOOD || result == FILE_GONE || (why && why[0]));
	return result;
}

START_TEST(a_whole_letter_is_read)
{
	struct file f;
	char content[8];
	write_letter("a", SLICE("X: y\r\n\r\n"), SIZE_MAX);
	ck_assert_int_eq(open_one("a", &f), FILE_GOOD);
	ck_assert_uint_eq(f.uid, getuid());
	ck_assert_uint_eq(f.drop.content_octets, sizeof(content));
	ck_assert(slice_equal(f.drop.sender, SLICE("a@example.org")));
	ck_assert(file_read(&f, f.content, content, sizeof(content)));
	ck_assert(memcmp(content, "X: y\r\n\r\n", sizeof(content)) == 0);
	ck_assert(!file_read(&f, f.content + 100, content, sizeof(content)));
	file_close(&f);
}
END_TEST

START_TEST(cut_anywhere_it_is_none)
{
	struct file f;
	struct stat st;
	write_letter("a", SLICE("X: y\r\n\r\n"), SIZE_MAX);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	for (size_t octets = 0; octets < (size_t)st.st_size; octets++) {
		write_letter("a", SLICE("X: y\r\n\r\n"), octets);
		ck_assert_int_eq(open_one("a", &f), FILE_BAD);
	}
}
END_TEST

START_TEST(a_changed_octet_is_seen_anywhere)
{
	struct file f;
	struct stat st;
	write_letter("a", SLICE("X: y\r\n\r\n"), SIZE_MAX);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		char c;
		write_letter("a", SLICE("X: y\r\n\r\n"), SIZE_MAX);
		int fd = openat(dir, "a", O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(pread(fd, &c, 1, at), 1);
		c ^= 1;
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
		close(fd);
		ck_assert_int_eq(open_one("a", &f), FILE_BAD);
	}
}
END_TEST

START_TEST(what_is_no_file_of_its_own_is_none)
{
	struct file f;
	write_letter("a", SLICE("x"), SIZE_MAX);
	ck_assert_int_eq(symlinkat("a", dir, "link"), 0);
	ck_assert_int_eq(open_one("link", &f), FILE_BAD);
	ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
	ck_assert_int_eq(open_one("fifo", &f), FILE_BAD);
	ck_assert_int_eq(linkat(dir, "a", dir, "b", 0), 0);
	ck_assert_int_eq(open_one("a", &f), FILE_BAD);
	ck_assert_int_eq(open_one("b", &f), FILE_BAD);
	ck_assert_int_eq(unlinkat(dir, "b", 0), 0);
	ck_assert_int_eq(open_one("a", &f), FILE_GOOD);
	file_close(&f);
	ck_assert_int_eq(open_one("nothing", &f), FILE_GONE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("file");
	TCase *c = tcase_create("file");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_whole_letter_is_read);
	tcase_add_test(c, cut_anywhere_it_is_none);
	tcase_add_test(c, a_changed_octet_is_seen_anywhere);
	tcase_add_test(c, what_is_no_file_of_its_own_is_none);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
