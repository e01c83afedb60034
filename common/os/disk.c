/*
 * disk: the kernel's file calls with their loose ends tied: interrupted calls go on, short writes
 * are completed, everything is close-on-exec, and each passes the point where a test may strike.
 * What changes the disk is begun and ended, so that a test can record it.
 */
#include "common/os/disk_record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/os/trap.h"

enum { READ_CHUNK = 64 * 1024, ZERO_CHUNK = 64 * 1024, BENEATH_TRIES = 8 };

/* 0: ask the kernel, then say so to ended(); else the call returns what over() makes of it. */
static int begun(struct disk_act *a)
{
	disk_record_begin(a);
	int strike = disk_point(a->op, a->fd);
	if (strike != 0)
		disk_record_end(a, strike, true);
	return strike;
}

static int over(int strike)
{
	return strike == DISK_LIED ? 0 : -1;
}

static int ended(const struct disk_act *a, int result)
{
	disk_record_end(a, result, false);
	return result;
}

int disk_open(int dirfd, const char *name, int flags, mode_t mode)
{
	struct disk_act a = {
	    .op = DISK_OPEN, .fd = dirfd, .to_fd = -1, .name = name, .flags = (uint32_t)flags};
	/* A directory's number is told when it is opened. */
	bool changes = (flags & (O_CREAT | O_TRUNC | O_DIRECTORY)) != 0;
	if ((changes ? begun(&a) : disk_point(DISK_OPEN, dirfd)) != 0)
		return -1;
	int fd = (int)TEMP_FAILURE_RETRY(openat(dirfd, name, flags | O_CLOEXEC | O_NOCTTY, mode));
	return changes ? ended(&a, fd) : fd;
}

/* O_NONBLOCK: a pipe, or a device, would keep who opens it until somebody comes to its other end.
 */
int disk_open_file(int dirfd, const char *name, int flags)
{
	int fd = disk_open(dirfd, name, flags | O_NOFOLLOW | O_NONBLOCK, 0);
	struct stat st;
	if (fd < 0) {
		if (errno == ELOOP || errno == ENXIO || errno == EISDIR)
			errno = EBADMSG;
		return -1;
	}
	if (syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EBADMSG;
	return -1;
}

/* For kernels without openat2: part by part, no link followed, no way up. */
static int walk_beneath(int dirfd, const char *name, int flags)
{
	int at = dirfd;
	for (;;) {
		char part[NAME_MAX + 1];
		size_t len = strcspn(name, "/");
		bool last = name[len] == '\0';
		int next = -1;
		if (len > NAME_MAX) {
			errno = ENAMETOOLONG;
		} else {
			memcpy(part, name, len);
			part[len] = '\0';
			if (len == 0 || strcmp(part, "..") == 0)
				errno = len == 0 ? ENOENT : EXDEV;
			else
				next = (int)TEMP_FAILURE_RETRY(
				    openat(at, part,
					   O_CLOEXEC | O_NOCTTY | O_NOFOLLOW |
					       (last ? flags : O_PATH | O_DIRECTORY)));
		}
		int error = errno;
		if (at != dirfd)
			close(at);
		errno = error;
		if (next < 0 || last)
			return next;
		at = next;
		name += len + 1;
	}
}

static int open_beneath(int dirfd, const char *name, int flags)
{
	struct open_how how = {.flags = (__u64)(flags | O_CLOEXEC | O_NOCTTY),
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	for (int tries = 1;; tries++) {
		int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
		if (fd < 0 && errno == ENOSYS)
			return walk_beneath(dirfd, name, flags);
		/* EAGAIN: something was renamed meanwhile, and the kernel can't tell */
		if (fd >= 0 || (errno != EINTR && (errno != EAGAIN || tries == BENEATH_TRIES)))
			return fd;
	}
}

int disk_open_beneath(int dirfd, const char *name, int flags)
{
	struct disk_act a = {
	    .op = DISK_OPEN, .fd = dirfd, .to_fd = -1, .name = name, .flags = (uint32_t)flags};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, open_beneath(dirfd, name, flags));
}

int disk_create(int dirfd, const char *name, int flags, mode_t mode)
{
	flags |= O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
	struct disk_act a = {
	    .op = DISK_CREATE, .fd = dirfd, .to_fd = -1, .name = name, .flags = (uint32_t)flags};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, (int)TEMP_FAILURE_RETRY(openat(dirfd, name, flags, mode)));
}

int disk_create_unnamed(int dirfd, int flags, mode_t mode)
{
	flags |= O_TMPFILE | O_CLOEXEC | O_NOCTTY;
	struct disk_act a = {.op = DISK_CREATE, .fd = dirfd, .to_fd = -1, .flags = (uint32_t)flags};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, (int)TEMP_FAILURE_RETRY(openat(dirfd, ".", flags, mode)));
}

int disk_link_unnamed(int fd, int dirfd, const char *name)
{
	struct disk_act a = {.op = DISK_LINK, .fd = fd, .to_fd = dirfd, .to = name};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, linkat(fd, "", dirfd, name, AT_EMPTY_PATH));
}

/* "." is there in any case; who may not link at all hears that there is no such file. */
bool disk_unnamed_works(int dirfd)
{
	if (disk_point(DISK_SPACE, dirfd) < 0)
		return false;
	int fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return false;
	bool works = linkat(fd, "", dirfd, ".", AT_EMPTY_PATH) < 0 && errno == EEXIST;
	close(fd);
	return works;
}

int disk_close(int fd)
{
	int strike = disk_point(DISK_CLOSE, fd);
	int error = errno;
	/* Linux gives the number back even when close() is interrupted: never again. */
	int result = close(fd);
	if (strike < 0) {
		errno = error;
		return -1;
	}
	return result < 0 && errno != EINTR ? -1 : 0;
}

ssize_t disk_pread(int fd, void *data, size_t len, uint64_t offset)
{
	if (disk_point(DISK_READ, fd) < 0)
		return -1;
	size_t done = 0;
	while (done < len) {
		ssize_t n = TEMP_FAILURE_RETRY(
		    pread(fd, (char *)data + done, len - done, (off_t)(offset + done)));
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	trap_see("read", slice_make(data, done));
	return (ssize_t)done;
}

ssize_t disk_pread_now(int fd, void *data, size_t len, uint64_t offset)
{
	if (disk_point(DISK_READ, fd) < 0)
		return -1;
	struct iovec iov = {data, len};
	ssize_t n = TEMP_FAILURE_RETRY(preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT));
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
		errno = EAGAIN;
	return n;
}

int disk_read_whole(int fd, size_t limit, struct buffer *b)
{
	if (disk_point(DISK_READ, fd) < 0)
		return -1;
	size_t done = 0;
	for (;;) {
		size_t room;
		char *to = buffer_reserve(b, READ_CHUNK, &room);
		char probe;
		bool full = !to || room == 0 || done == limit;
		if (full) { /* one octet more, to know whether this was the end */
			to = &probe;
			room = 1;
		} else if (room > limit - done) {
			room = limit - done;
		}
		ssize_t n = TEMP_FAILURE_RETRY(pread(fd, to, room, (off_t)done));
		if (n <= 0)
			return n < 0 ? -1 : 0;
		if (full) {
			errno = done == limit ? EFBIG : ENOBUFS;
			return -1;
		}
		buffer_grew(b, (size_t)n);
		done += (size_t)n;
	}
}

/* Takes n octets off the front of a vector. */
static void iov_consume(struct iovec **iov, int *count, size_t n)
{
	while (*count > 0 && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	if (*count > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

static int write_all(int fd, struct iovec *iov, int count, uint64_t offset)
{
	iov_consume(&iov, &count, 0);
	while (count > 0) {
		ssize_t n = TEMP_FAILURE_RETRY(pwritev(fd, iov, count, (off_t)offset));
		if (n < 0)
			return -1;
		if (n == 0) { /* a regular file never does that without an error */
			errno = EIO;
			return -1;
		}
		offset += (uint64_t)n;
		iov_consume(&iov, &count, (size_t)n);
	}
	return 0;
}

int disk_pwritev(int fd, struct iovec *iov, int count, uint64_t offset)
{
	struct disk_act a = {
	    .op = DISK_WRITE, .fd = fd, .to_fd = -1, .data = iov, .count = count, .offset = offset};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, write_all(fd, iov, count, offset));
}

int disk_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
	struct iovec iov = {(void *)data, len};
	return disk_pwritev(fd, &iov, 1, offset);
}

static int append_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = TEMP_FAILURE_RETRY(write(fd, at, len));
		if (n < 0)
			return -1;
		if (n == 0) { /* as above */
			errno = EIO;
			return -1;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int disk_write(int fd, const void *data, size_t len)
{
	struct iovec iov = {(void *)data, len};
	struct disk_act a = {.op = DISK_WRITE,
			     .fd = fd,
			     .to_fd = -1,
			     .data = &iov,
			     .count = 1,
			     .offset = UINT64_MAX};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, append_all(fd, data, len));
}

int disk_fdatasync(int fd)
{
	struct disk_act a = {.op = DISK_FDATASYNC, .fd = fd, .to_fd = -1};
	int strike = begun(&a);
	return strike != 0 ? over(strike) : ended(&a, (int)TEMP_FAILURE_RETRY(fdatasync(fd)));
}

int disk_fsync(int fd)
{
	struct disk_act a = {.op = DISK_FSYNC, .fd = fd, .to_fd = -1};
	int strike = begun(&a);
	return strike != 0 ? over(strike) : ended(&a, (int)TEMP_FAILURE_RETRY(fsync(fd)));
}

int disk_fsync_dir(int fd)
{
	struct disk_act a = {.op = DISK_FSYNC_DIR, .fd = fd, .to_fd = -1};
	int strike = begun(&a);
	return strike != 0 ? over(strike) : ended(&a, (int)TEMP_FAILURE_RETRY(fsync(fd)));
}

int disk_writeback(int fd, uint64_t offset, uint64_t len)
{
	if (disk_point(DISK_WRITEBACK, fd) < 0)
		return -1;
	return (int)TEMP_FAILURE_RETRY(
	    sync_file_range(fd, (off_t)offset, (off_t)len, SYNC_FILE_RANGE_WRITE));
}

int disk_writeback_end(int fd)
{
	const unsigned all =
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	if (disk_point(DISK_WRITEBACK, fd) < 0)
		return -1;
	return (int)TEMP_FAILURE_RETRY(sync_file_range(fd, 0, 0, all));
}

/* On ext4 without a journal syncfs() has the disk's cache flushed while the writes of directories
 * and inodes may be under way, waits for these, and returns: they are in the cache. There fsync()
 * ends with a flush; and one can't tell such an ext4 from others. */
int disk_sync_all(int fd)
{
	struct statfs s;
	struct disk_act a = {.op = DISK_SYNC_ALL, .fd = fd, .to_fd = -1};
	int strike = begun(&a);
	if (strike != 0)
		return over(strike);
	if (ended(&a, (int)TEMP_FAILURE_RETRY(syncfs(fd))) < 0)
		return -1;
	if (fstatfs(fd, &s) == 0 && s.f_type != EXT4_SUPER_MAGIC)
		return 0;
	return disk_fsync_dir(fd);
}

/* Before Linux 5.8 it told of no error at all (syncfs(2)). */
static bool kernel_tells(void)
{
	struct utsname u;
	unsigned major, minor;
	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

/* Not those that stand on another file system (overlayfs, FUSE) or a server (NFS), whose errors
 * need not reach the call. */
bool disk_sync_all_tells(int fd)
{
	struct statfs s;
	if (disk_point(DISK_SPACE, fd) < 0 || fstatfs(fd, &s) < 0)
		return false;
	return (s.f_type == EXT4_SUPER_MAGIC || s.f_type == XFS_SUPER_MAGIC ||
		s.f_type == BTRFS_SUPER_MAGIC) &&
	       kernel_tells();
}

/* For file systems without fallocate(): zeros from the present end on. */
static int allocate_by_zeros(int fd, uint64_t size)
{
	static const char zeros[ZERO_CHUNK];
	struct stat st;
	if (disk_stat(fd, &st) < 0)
		return -1;
	for (uint64_t at = (uint64_t)st.st_size; at < size;) {
		size_t len = size - at < sizeof(zeros) ? (size_t)(size - at) : sizeof(zeros);
		if (disk_pwrite(fd, zeros, len, at) < 0)
			return -1;
		at += len;
	}
	return 0;
}

int disk_allocate(int fd, uint64_t size)
{
	struct disk_act a = {.op = DISK_ALLOCATE, .fd = fd, .to_fd = -1, .length = size};
	if (begun(&a) != 0)
		return -1;
	int result = ended(&a, (int)TEMP_FAILURE_RETRY(fallocate(fd, 0, 0, (off_t)size)));
	if (result < 0 && errno == EOPNOTSUPP)
		return allocate_by_zeros(fd, size);
	return result;
}

int disk_truncate(int fd, uint64_t size)
{
	struct disk_act a = {.op = DISK_TRUNCATE, .fd = fd, .to_fd = -1, .length = size};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, (int)TEMP_FAILURE_RETRY(ftruncate(fd, (off_t)size)));
}

int disk_link(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct disk_act a = {
	    .op = DISK_LINK, .fd = from_dirfd, .to_fd = to_dirfd, .name = from, .to = to};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, linkat(from_dirfd, from, to_dirfd, to, 0));
}

int disk_unlink(int dirfd, const char *name)
{
	struct disk_act a = {.op = DISK_UNLINK, .fd = dirfd, .to_fd = -1, .name = name};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, unlinkat(dirfd, name, 0));
}

int disk_rename(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct disk_act a = {
	    .op = DISK_RENAME, .fd = from_dirfd, .to_fd = to_dirfd, .name = from, .to = to};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, renameat(from_dirfd, from, to_dirfd, to));
}

int disk_rename_new(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct disk_act a = {
	    .op = DISK_RENAME, .fd = from_dirfd, .to_fd = to_dirfd, .name = from, .to = to};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, renameat2(from_dirfd, from, to_dirfd, to, RENAME_NOREPLACE));
}

int disk_mkdir(int dirfd, const char *name, mode_t mode)
{
	struct disk_act a = {.op = DISK_MKDIR, .fd = dirfd, .to_fd = -1, .name = name};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, mkdirat(dirfd, name, mode));
}

int disk_rmdir(int dirfd, const char *name)
{
	struct disk_act a = {.op = DISK_RMDIR, .fd = dirfd, .to_fd = -1, .name = name};
	if (begun(&a) != 0)
		return -1;
	return ended(&a, unlinkat(dirfd, name, AT_REMOVEDIR));
}

int disk_stat(int fd, struct stat *st)
{
	if (disk_point(DISK_STAT, fd) < 0)
		return -1;
	/* Not the C library's fstat(), which asks by a call that also takes names: most sandbox
	 * profiles have no such call. On 64-bit Linux the kernel's struct is the library's. */
	return (int)syscall(SYS_fstat, fd, st);
}

int disk_stat_at(int dirfd, const char *name, struct stat *st)
{
	if (disk_point(DISK_STAT, dirfd) < 0)
		return -1;
	return fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW);
}

int disk_chmod(int fd, mode_t mode)
{
	if (disk_point(DISK_MODE, fd) < 0)
		return -1;
	return fchmod(fd, mode);
}

int disk_chown(int fd, uid_t uid, gid_t gid)
{
	if (disk_point(DISK_MODE, fd) < 0)
		return -1;
	return fchown(fd, uid, gid);
}

int disk_space(int fd, struct disk_space *space)
{
	if (disk_point(DISK_SPACE, fd) < 0)
		return -1;
	struct statvfs s;
	if (TEMP_FAILURE_RETRY(fstatvfs(fd, &s)) < 0)
		return -1;
	space->free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
	space->total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
	space->free_files = s.f_files ? s.f_favail : UINT64_MAX;
	return 0;
}

int disk_list(int dirfd, disk_list_call *call, void *arg)
{
	if (disk_point(DISK_LIST, dirfd) < 0)
		return -1;
	int fd = (int)TEMP_FAILURE_RETRY(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return -1;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	int result = 0;
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (!d) {
			result = errno ? -1 : 0;
			break;
		}
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (!call(arg, d->d_name, d->d_type))
			break;
	}
	int error = errno;
	closedir(dir);
	errno = error;
	return result;
}
