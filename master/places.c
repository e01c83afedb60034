/*
 * What the master makes on the disk before any daemon runs. The sockets for commands and for mail
 * of this machine's programs are bound by a relative name inside the run directory, so that its
 * path may be longer than the 108 octets of a socket address.
 */
#include "master/places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/slice.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum {
	CONTROL_BACKLOG = 128,
	SUBMIT_BACKLOG = 1024,
	SPOOL_MODE = 0710, /* the group gets through to the drop directory, and no farther */
	/* Its group makes files there, and lists it, since a directory must be open to be synced;
	 * nobody but their owner and pickup takes them away. */
	DROP_MODE = 01770,
	MODE_MASK = 07777,
};

static int spool_fd = -1, drop_fd = -1, spool_lock = -1, run_fd = -1, run_lock = -1, empty_fd = -1;
static int control_fd = -1, submit_fd = -1, state_fd = -1, state_lock = -1;

static bool is_there(const char *path)
{
	struct stat st;
	return disk_stat_at(AT_FDCWD, path, &st) == 0;
}

/* The directory's name is durable: without it all that lies there would go with the power. It was
 * made just now, or by a start that ended before it came here. Who may not read the directory above
 * can't have made one there. */
static int sync_name(const char *path)
{
	char parent[PATH_MAX];
	const char *end = strrchr(path, '/');
	size_t len = end ? (size_t)(end - path) : 0;
	int fd, result;
	if (!slice_copy(len ? slice_make(path, len) : slice_str(end ? "/" : "."), parent,
			sizeof(parent))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = disk_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == EACCES ? 0 : -1;
	result = disk_fsync_dir(fd);
	disk_close(fd);
	return result;
}

/* umask takes bits away, so the mode is set again. */
static int make_one(const char *path, mode_t mode)
{
	int fd, result;
	if (disk_mkdir(AT_FDCWD, path, mode) < 0)
		return errno == EEXIST ? 0 : -1;
	/* What was made here is no link: who may write above it may have put one in its place. */
	fd = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return -1;
	result = disk_chmod(fd, mode);
	disk_close(fd);
	return result;
}

static int make_all(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	if (!slice_copy(slice_str(path), part, sizeof(part))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (!is_there(part) && (make_one(part, 0755) < 0 || sync_name(part) < 0))
			return -1;
		*p = '/';
	}
	return make_one(part, mode);
}

bool place_directory(const char *path, mode_t mode, const struct identity *owner, int *result,
		     struct error *e)
{
	struct stat st;
	int fd = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT && make_all(path, mode) == 0)
		fd = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return error_set(e, errno, "directory %s: %s", path, strerror(errno));
	if (sync_name(path) < 0) {
		error_set(e, errno, "directory %s: its name can't be synced: %s", path,
			  strerror(errno));
		disk_close(fd);
		return false;
	}
	if (owner &&
	    (disk_stat(fd, &st) < 0 || ((st.st_uid != owner->uid || st.st_gid != owner->gid) &&
					disk_chown(fd, owner->uid, owner->gid) < 0))) {
		error_set(e, errno, "directory %s can't be given to its user: %s", path,
			  strerror(errno));
		disk_close(fd);
		return false;
	}
	*result = fd;
	return true;
}

/* Makes an exit code of the errno. */
static void place_failed(struct error *e)
{
	e->code = e->code == EACCES || e->code == EPERM ? EX_NOPERM : EX_OSERR;
}

/* One master has a place; what it is called goes before the path. */
static bool lock_place(const char *what, const char *path, int dir, int *lock, struct error *e)
{
	pid_t holder = 0;
	if (lock_file_take(dir, "lock", lock, &holder, e))
		return true;
	if (e->code == EAGAIN)
		return error_set(e, EX_TEMPFAIL,
				 "another master, process %d, is running on the %s %s", (int)holder,
				 what, path);
	place_failed(e);
	return error_prefix(e, "%s %s", what, path);
}

/* A directory that was made by another version, or by hand. */
static bool mend_mode(const char *path, int fd, mode_t mode, struct error *e)
{
	struct stat st;
	if (disk_stat(fd, &st) == 0 &&
	    ((st.st_mode & MODE_MASK) == mode || disk_chmod(fd, mode) == 0))
		return true;
	return error_set(e, EX_OSERR, "%s can't get the mode %o: %s", path, (unsigned)mode,
			 strerror(errno));
}

static bool place_below(const char *path, const char *name, mode_t mode,
			const struct identity *owner, int *fd, struct error *e)
{
	char whole[PATH_MAX];
	int len = snprintf(whole, sizeof(whole), "%s/%s", path, name);
	if (len < 0 || (size_t)len >= sizeof(whole))
		return error_set(e, EX_OSERR, "%s: the path is too long", path);
	if (place_directory(whole, mode, owner, fd, e))
		return true;
	place_failed(e);
	return false;
}

bool place_spool(const char *path, const struct identity *queue, const struct identity *pickup,
		 struct error *e)
{
	if (!place_directory(path, SPOOL_MODE, queue, &spool_fd, e)) {
		place_failed(e);
		return error_prefix(e, "spool");
	}
	if (!lock_place("spool", path, spool_fd, &spool_lock, e))
		return false;
	return place_below(path, "drop", DROP_MODE, pickup, &drop_fd, e) &&
	       (!queue || (mend_mode(path, spool_fd, SPOOL_MODE, e) &&
			   mend_mode("drop", drop_fd, DROP_MODE, e)));
}

int place_drop_fd(void)
{
	return drop_fd;
}

int place_spool_fd(void)
{
	return spool_fd;
}

bool place_state(const char *path, const char *role, const struct identity *owner, int *fd,
		 struct error *e)
{
	char below[PATH_MAX];
	int written = snprintf(below, sizeof(below), "%s/%s", path, role);
	if (written < 0 || (size_t)written >= sizeof(below))
		return error_set(e, EX_OSERR, "state: the path is too long");
	if (state_fd < 0 && !place_directory(path, 0755, NULL, &state_fd, e)) {
		place_failed(e);
		return error_prefix(e, "state");
	}
	if (state_lock < 0 && !lock_place("state directory", path, state_fd, &state_lock, e))
		return false;
	if (place_directory(below, 0700, owner, fd, e))
		return true;
	place_failed(e);
	return error_prefix(e, "state");
}

/* A relative name is what the kernel sees; the way there does not count. */
static bool bind_in_run(int fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t before;
	int bound;
	if (!slice_copy(slice_str(name), address.sun_path, sizeof(address.sun_path)))
		return false;
	if (disk_unlink(run_fd, name) < 0 && errno != ENOENT)
		return false;
	if (fchdir(run_fd) < 0)
		return false;
	before = umask(0111); /* 0666: who may ask is decided by SO_PEERCRED */
	bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	return chdir("/") == 0 && bound == 0;
}

static bool open_socket(const char *run, const char *name, int type, int backlog, int *result,
			struct error *e)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind_in_run(fd, name) && listen(fd, backlog) == 0) {
		*result = fd;
		return true;
	}
	return error_set(e, EX_OSERR, "socket %s/%s: %s", run, name, strerror(errno));
}

bool place_run(const char *path, struct error *e)
{
	if (!place_directory(path, 0755, NULL, &run_fd, e)) {
		place_failed(e);
		return error_prefix(e, "run");
	}
	if (!lock_place("run directory", path, run_fd, &run_lock, e))
		return false;
	if (!place_below(path, "empty", 0555, NULL, &empty_fd, e))
		return error_prefix(e, "run");
	return open_socket(path, "control", SOCK_SEQPACKET, CONTROL_BACKLOG, &control_fd, e) &&
	       open_socket(path, "submit", SOCK_STREAM, SUBMIT_BACKLOG, &submit_fd, e);
}

int place_empty_fd(void)
{
	return empty_fd;
}

int place_control_fd(void)
{
	return control_fd;
}

int place_submit_fd(void)
{
	return submit_fd;
}

void place_leave(void)
{
	if (run_fd < 0)
		return;
	(void)disk_unlink(run_fd, "submit");
	(void)disk_unlink(run_fd, "control");
}
