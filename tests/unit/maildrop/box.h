/*
 * A temporary directory of mailboxes, and a drop opened in it. Included once per test program.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "daemons/maildrop/drop.h"

enum { BOX_PATH_SIZE = 512, BOX_TEXT_MAX = 1024 * 1024 };

static char box_path[] = "/tmp/test-maildrop-XXXXXX";
static int box_dir = -1;

static inline void box_setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(box_path));
	ck_assert_int_eq(chmod(box_path, 0755), 0);
	box_dir = open(box_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(box_dir, 0);
}

static inline int box_remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	return remove(path);
}

static inline void box_teardown(void)
{
	close(box_dir);
	nftw(box_path, box_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	memcpy(box_path + strlen(box_path) - 6, "XXXXXX", 6);
}

static inline void box_mkdir(const char *name)
{
	ck_assert_int_eq(mkdirat(box_dir, name, 0700), 0);
}

static inline void box_write(const char *name, const char *text)
{
	int fd = openat(box_dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_msg(fd >= 0, "%s", name);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline bool box_has(const char *name)
{
	return faccessat(box_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The file as text; valid until the next call. */
static inline const char *box_read(const char *name)
{
	static char text[BOX_TEXT_MAX];
	int fd = openat(box_dir, name, O_RDONLY);
	ck_assert_msg(fd >= 0, "%s", name);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static inline enum maildrop_standing box_open(struct drop *d, const struct drop_kind *kind,
					      const char *path, struct error *e)
{
	*d = (struct drop){.kind = kind, .dir = -1, .group = getgid()};
	ck_assert_msg(kind->prepare(d, box_dir, path, e), "%s", e->text);
	return kind->open(d, e);
}

static inline void box_close(struct drop *d)
{
	d->kind->close(d);
	if (d->dir >= 0)
		close(d->dir);
}

/* The whole message, read in pieces of so many octets; NULL: it can't be read. */
static inline const char *box_message(struct drop *d, size_t index, size_t piece)
{
	static char text[BOX_TEXT_MAX];
	size_t len = 0;
	for (bool last = false; !last;) {
		ssize_t n = d->kind->read(d, index, len, text + len, piece, &last);
		if (n < 0)
			return NULL;
		len += (size_t)n;
	}
	text[len] = '\0';
	return text;
}

static inline const char *box_unique(const struct drop *d, size_t index)
{
	static char text[4][MAILDROP_UIDL_MAX + 1];
	static unsigned next;
	char *uid = text[next++ % 4];
	uid[d->kind->unique(d, index, uid)] = '\0';
	return uid;
}
