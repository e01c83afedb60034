/*
 * A temporary mail directory, and how to look into it. Included once per test program.
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
#include "queue/store/format.h"
#include "queue/store/twin.h"

enum { TREE_FILE_MAX = 4 * 1024 * 1024, TREE_PATH_SIZE = 512 };

static char tree_path[] = "/tmp/test-local-XXXXXX";
static char tree_base[TREE_PATH_SIZE]; /* tree_path/mail */
static int tree_dir = -1;	       /* of tree_base */

static inline void tree_setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(tree_path));
	ck_assert_int_eq(chmod(tree_path, 0755), 0);
	snprintf(tree_base, sizeof(tree_base), "%s/mail", tree_path);
	ck_assert_int_eq(mkdir(tree_base, 0700), 0);
	tree_dir = open(tree_base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(tree_dir, 0);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	return remove(path);
}

static inline void tree_teardown(void)
{
	close(tree_dir);
	nftw(tree_path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	memcpy(tree_path + strlen(tree_path) - 6, "XXXXXX", 6);
}

struct tree_names {
	size_t count;
	char first[256];
};

static inline bool tree_name(void *arg, const char *name, unsigned char type)
{
	struct tree_names *n = arg;
	(void)type;
	if (n->count++ == 0)
		snprintf(n->first, sizeof(n->first), "%s", name);
	return true;
}

/* Entries of mailbox/part; SIZE_MAX: there is no such directory. */
static inline struct tree_names tree_list(const char *mailbox, const char *part)
{
	struct tree_names n = {0};
	char path[TREE_PATH_SIZE];
	int fd;
	snprintf(path, sizeof(path), "%s/%s", mailbox, part);
	fd = openat(tree_dir, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return (struct tree_names){.count = SIZE_MAX};
	ck_assert_int_eq(disk_list(fd, tree_name, &n), 0);
	close(fd);
	return n;
}

static inline size_t tree_count(const char *mailbox, const char *part)
{
	return tree_list(mailbox, part).count;
}

/* The only message in mailbox/new, appended. */
static inline void tree_read(const char *mailbox, struct buffer *b)
{
	struct tree_names n = tree_list(mailbox, "new");
	char path[2 * TREE_PATH_SIZE];
	int fd;
	ck_assert_uint_eq(n.count, 1);
	snprintf(path, sizeof(path), "%s/new/%s", mailbox, n.first);
	fd = openat(tree_dir, path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(disk_read_whole(fd, TREE_FILE_MAX, b), 0);
	close(fd);
}

/* A large file as the store's writer leaves it; its descriptor. */
static inline int tree_large(struct slice header, struct slice body, struct stored_file *f)
{
	static uint64_t number = 100;
	char path[TREE_PATH_SIZE];
	uint8_t head[LARGE_HEAD_SIZE];
	struct twin d;
	int fd;
	*f = (struct stored_file){.number = ++number,
				  .length = LARGE_HEAD_SIZE + body.len + header.len,
				  .body_offset = LARGE_HEAD_SIZE,
				  .body_length = body.len,
				  .header_offset = LARGE_HEAD_SIZE + body.len,
				  .header_length = header.len};
	memset(f->nonce, 7, NONCE_SIZE);
	large_head_encode(f->number, f->nonce, head);
	twin_init(&d);
	twin_add(&d, body);
	twin_add(&d, header);
	twin_end(&d, f->digest);
	twin_free(&d);
	snprintf(path, sizeof(path), "%s/large", tree_path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, head, sizeof(head), 0), (ssize_t)sizeof(head));
	ck_assert_int_eq(pwrite(fd, body.ptr, body.len, LARGE_HEAD_SIZE), (ssize_t)body.len);
	ck_assert_int_eq(pwrite(fd, header.ptr, header.len, (off_t)f->header_offset),
			 (ssize_t)header.len);
	return fd;
}
