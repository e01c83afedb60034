/*
 * landing: walks a path part by part. A directory that others may write to can hold whatever they
 * like under any name; a link in it may not choose what we read or where we write.
 */
#include "commands/stagepost/landing.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/os/disk.h"

enum { LINKS_MAX = 40 };

struct walk {
	int fd;		/* the directory reached; -1: none */
	unsigned links; /* followed so far */
	char rest[PATH_MAX];
};

static bool failed(struct error *e, const char *part)
{
	int code = errno == EACCES || errno == EPERM ? EX_NOPERM : EX_DATAERR;
	return error_set(e, code, "%s: %s", part, strerror(errno));
}

static bool is_safe(int fd)
{
	struct stat st;
	return disk_stat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool enter(struct walk *w, const char *name, struct error *e)
{
	int fd = disk_open(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return failed(e, name);
	if (w->fd >= 0)
		disk_close(w->fd);
	w->fd = fd;
	return true;
}

/* What the link says takes its place in front of the rest. */
static bool follow(struct walk *w, const char *name, struct error *e)
{
	char target[PATH_MAX], rest[PATH_MAX];
	if (!is_safe(w->fd))
		return error_set(e, EX_NOPERM,
				 "%s is a symbolic link in a directory that others may write to; "
				 "give the path that it leads to",
				 name);
	if (++w->links > LINKS_MAX)
		return error_set(e, EX_DATAERR, "%s: %s", name, strerror(ELOOP));
	ssize_t len = readlinkat(w->fd, name, target, sizeof(target));
	if (len < 0)
		return failed(e, name);
	memcpy(rest, w->rest, sizeof(rest));
	struct slice to = slice_make(target, (size_t)len), more = slice_str(rest);
	if (to.len + 1 + more.len >= sizeof(w->rest))
		return error_set(e, EX_DATAERR, "%s: %s", name, strerror(ENAMETOOLONG));
	memcpy(w->rest, to.ptr, to.len);
	w->rest[to.len] = '/';
	memcpy(w->rest + to.len + 1, more.ptr, more.len);
	w->rest[to.len + (more.len > 0 ? 1 + more.len : 0)] = '\0';
	return target[0] != '/' || enter(w, "/", e);
}

/* Takes the first part off the rest; false: none is left. */
static bool next_part(struct walk *w, char name[LANDING_NAME_SIZE], bool *fits)
{
	size_t from = strspn(w->rest, "/"), len = strcspn(w->rest + from, "/");
	if (len == 0)
		return false;
	*fits = slice_copy(slice_make(w->rest + from, len), name, LANDING_NAME_SIZE);
	size_t next = from + len + strspn(w->rest + from + len, "/");
	memmove(w->rest, w->rest + next, strlen(w->rest + next) + 1);
	return true;
}

static bool walk(struct walk *w, char name[LANDING_NAME_SIZE], struct error *e)
{
	struct stat st;
	bool fits;
	while (next_part(w, name, &fits)) {
		bool last = w->rest[0] == '\0';
		if (!fits)
			return error_set(e, EX_DATAERR, "%s", strerror(ENAMETOOLONG));
		if (disk_stat_at(w->fd, name, &st) != 0)
			return (last && errno == ENOENT) || failed(e, name);
		if (S_ISLNK(st.st_mode)) {
			if (!follow(w, name, e))
				return false;
		} else if (last) {
			return true;
		} else if (!enter(w, name, e)) {
			return false;
		}
	}
	return error_set(e, EX_DATAERR, "that path names no file");
}

int landing_open(const char *path, char name[LANDING_NAME_SIZE], struct error *e)
{
	struct walk w = {.fd = AT_FDCWD};
	if (!slice_copy(slice_str(path), w.rest, sizeof(w.rest))) {
		error_set(e, EX_DATAERR, "%s", strerror(ENAMETOOLONG));
		return -1;
	}
	if (enter(&w, path[0] == '/' ? "/" : ".", e) && walk(&w, name, e)) {
		int fd = disk_open(w.fd, ".", O_RDONLY | O_DIRECTORY, 0);
		disk_close(w.fd);
		if (fd < 0)
			failed(e, path);
		return fd;
	}
	if (w.fd >= 0)
		disk_close(w.fd);
	return -1;
}
