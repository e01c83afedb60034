/*
 * A file counts as changed when its path leads to another inode, or its size or times differ from
 * when it was opened; symbolic links are followed, so a link that is turned counts too. It is taken
 * once it looks the same twice: half of a file that an editor is still writing reads as a table in
 * which people are missing, and their mail would be refused.
 */
#include "master/watched.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"

enum { LOOKS_MAX = 3 }; /* a file that never comes to rest is taken as it is then */

void watched_init(struct watched *w, const char *path)
{
	*w = (struct watched){.path = memory_string(slice_str(path)), .fd = -1};
}

void watched_free(struct watched *w)
{
	if (w->fd >= 0)
		disk_close(w->fd);
	memory_free(w->path);
	*w = (struct watched){.fd = -1};
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Non-blocking: a path may lead to a pipe. */
bool watched_open(struct watched *w)
{
	struct stat st;
	int fd = disk_open(AT_FDCWD, w->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return false;
	if (disk_stat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		disk_close(fd);
		errno = EINVAL;
		return false;
	}
	if (w->fd >= 0)
		disk_close(w->fd);
	w->fd = fd;
	w->seen = st;
	w->looks = 0;
	return true;
}

/* The path itself may be a link, so it is opened to be looked at; a descriptor that only names the
 * file (O_PATH) costs no right to read it. */
static bool path_stat(const char *path, struct stat *st)
{
	int fd = disk_open(AT_FDCWD, path, O_PATH, 0);
	int result;
	if (fd < 0)
		return false;
	result = disk_stat(fd, st);
	disk_close(fd);
	return result == 0;
}

static bool at_rest(struct watched *w, const struct stat *st)
{
	bool same = w->looks > 0 && same_file(st, &w->latest);
	w->latest = *st;
	return ++w->looks >= LOOKS_MAX || same;
}

static void tell_missing(struct watched *w, const char *what)
{
	if (!w->missing && w->fd >= 0)
		log_warning("%s %s: %s; its last content stays in use", what, w->path,
			    errno == EINVAL ? "is not a regular file" : strerror(errno));
	w->missing = true;
}

bool watched_look(struct watched *w, const char *what)
{
	struct stat st;
	bool there = path_stat(w->path, &st);
	if (there && w->fd >= 0 && same_file(&st, &w->seen)) {
		w->missing = false;
		w->looks = 0;
		return false;
	}
	if (there && !at_rest(w, &st))
		return false;
	if (there && watched_open(w)) {
		w->missing = false;
		return true;
	}
	tell_missing(w, what);
	return false;
}
