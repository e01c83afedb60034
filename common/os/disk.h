/*
 * disk: every call that reaches a file system, thin: 0 (or what is said) on success, -1 and errno
 * otherwise. EINTR never shows. All descriptors are opened close-on-exec. Names are relative to
 * dirfd (AT_FDCWD is allowed).
 *
 * Before it does anything each call passes disk_point(). In a normal build that does nothing. In a
 * build with FAULTS=1 the environment decides:
 *
 *	STAGEPOST_FAULTS="role:op:n:action,..."
 *		role	as set by disk_faults_role(), or *
 *		op	a name of disk_op_names, or *, or one of faults.h
 *		n	the n-th call (from 1) of that op in this process; "n+" from the n-th on,
 *			"n-m" from the n-th to the m-th; "@" the one whose number stands behind the
 *			'1' in the file of "while", counted from when that came to be there
 *		action	kill (SIGKILL to itself), an errno name (ENOSPC, EIO, ...),
 *			delay=MILLISECONDS, or lie (of a sync: it says that it is done)
 *		while=PATH, in the place of one: all strike only while that file begins with '1'
 *
 *	STAGEPOST_DISK_TRACE=FD or PATH
 *		a line "role pid op fd count" for each call, written to that descriptor, or
 *		appended to PATH.ROLE.PID
 *
 *	STAGEPOST_DISK_RECORD=PATH
 *		what was done to the disk, with its octets: disk_record.h
 */
#ifndef COMMON_OS_DISK_H
#define COMMON_OS_DISK_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/base/buffer.h"

enum disk_op {
	DISK_OPEN,
	DISK_CREATE,
	DISK_CLOSE,
	DISK_READ,
	DISK_WRITE,
	DISK_FDATASYNC,
	DISK_FSYNC,
	DISK_FSYNC_DIR,
	DISK_SYNC_ALL,
	DISK_WRITEBACK,
	DISK_ALLOCATE,
	DISK_TRUNCATE,
	DISK_LINK,
	DISK_UNLINK,
	DISK_RENAME,
	DISK_MKDIR,
	DISK_RMDIR,
	DISK_STAT,
	DISK_MODE,
	DISK_SPACE,
	DISK_LIST,
	DISK_OPS /* how many there are */
};

extern const char *const disk_op_names[DISK_OPS]; /* "open", "create", ... */

/* 0: go on; -1 and errno: fail so; a sync hears 1 when it is to lie. fd is -1 where there is none.
 */
int disk_point(enum disk_op op, int fd);
/* Who we are for STAGEPOST_FAULTS; call it before the sandbox. No-op in a normal build. */
void disk_faults_role(const char *name);
/* True in a build with FAULTS=1. */
bool disk_faults_built(void);

/* flags: of open(2), without O_CREAT|O_EXCL together (that is disk_create); mode for O_CREAT. */
int disk_open(int dirfd, const char *name, int flags, mode_t mode);
/* The same of a regular file that is there, without waiting: EBADMSG when something else has its
 * name, a link too. */
int disk_open_file(int dirfd, const char *name, int flags);
/* The same for a name whose path must not leave dirfd: `..` and symbolic links may lead about below
 * it, not out of it (EXDEV). A kernel before 5.6 refuses every symbolic link (ELOOP, ENOTDIR). For
 * opening what is there: no O_CREAT. */
int disk_open_beneath(int dirfd, const char *name, int flags);
/* A new file that must not be there yet (EEXIST); flags: O_WRONLY, O_RDWR, O_APPEND, ... Symbolic
 * links are not followed. */
int disk_create(int dirfd, const char *name, int flags, mode_t mode);
/* A file with no name, in that directory's file system; it goes with its descriptor, unless
 * disk_link_unnamed() gives it a name there (EEXIST). Before both: do they work there? Linux allows
 * it to everybody since 6.10; some file systems can't. */
int disk_create_unnamed(int dirfd, int flags, mode_t mode);
int disk_link_unnamed(int fd, int dirfd, const char *name);
bool disk_unnamed_works(int dirfd);
/* The descriptor is gone, whatever is returned. */
int disk_close(int fd);

/* Reads len octets, less only at the end of the file; returns how many. */
ssize_t disk_pread(int fd, void *data, size_t len, uint64_t offset);
/* What the page cache has, without waiting for the disk: may be less; EAGAIN when it would wait
 * (or when the file system can't tell). */
ssize_t disk_pread_now(int fd, void *data, size_t len, uint64_t offset);
/* The whole file from its start into b (appended). EFBIG when it holds more than limit octets,
 * ENOBUFS when b's own limit is passed. */
int disk_read_whole(int fd, size_t limit, struct buffer *b);
/* All of it or an error (part of it may be written then); goes on after a short write. The vector
 * is changed. count is at most IOV_MAX. */
int disk_pwritev(int fd, struct iovec *iov, int count, uint64_t offset);
int disk_pwrite(int fd, const void *data, size_t len, uint64_t offset);
/* At the file's end or position: all of it or an error. For logs and Maildir files. */
int disk_write(int fd, const void *data, size_t len);

int disk_fdatasync(int fd);
int disk_fsync(int fd);
/* Makes the entries of a directory durable; fd is an open descriptor of it. */
int disk_fsync_dir(int fd);
/* All of the file system that fd lies in. It may be long work: others' files are in it too. An
 * error is any file's, since fd was opened or since the call before with the same open file. */
int disk_sync_all(int fd);
/* Does disk_sync_all() tell of every error there? Linux does since 5.8, for some file systems. */
bool disk_sync_all_tells(int fd);
/* Starts writing that range to the disk and does not wait; no promise of durability. */
int disk_writeback(int fd, uint64_t offset, uint64_t len);
/* Waits until what was written to the file has left memory; says what went wrong with it since it
 * was opened, which costs next to nothing when it has left before. No promise of durability. */
int disk_writeback_end(int fd);
/* Blocks for [0, size), and the file's size becomes at least size. */
int disk_allocate(int fd, uint64_t size);
int disk_truncate(int fd, uint64_t size);

int disk_link(int from_dirfd, const char *from, int to_dirfd, const char *to);
int disk_unlink(int dirfd, const char *name);
/* Replaces `to` when it is there. */
int disk_rename(int from_dirfd, const char *from, int to_dirfd, const char *to);
/* EEXIST when `to` is there. */
int disk_rename_new(int from_dirfd, const char *from, int to_dirfd, const char *to);
int disk_mkdir(int dirfd, const char *name, mode_t mode);
int disk_rmdir(int dirfd, const char *name);

int disk_stat(int fd, struct stat *st);
/* Of the name itself: a symbolic link is not followed. */
int disk_stat_at(int dirfd, const char *name, struct stat *st);
int disk_chmod(int fd, mode_t mode);
int disk_chown(int fd, uid_t uid, gid_t gid);

struct disk_space {
	uint64_t free_bytes; /* for an ordinary user */
	uint64_t total_bytes;
	uint64_t free_files; /* inodes; UINT64_MAX where the file system has no limit */
};
int disk_space(int fd, struct disk_space *space);

/* Calls for each entry but "." and ".."; type is DT_REG, DT_DIR, ... or DT_UNKNOWN. A call that
 * returns false ends the walk, which is no error. Entries made or removed meanwhile may show or
 * not. dirfd's own position is not moved. */
typedef bool disk_list_call(void *arg, const char *name, unsigned char type);
int disk_list(int dirfd, disk_list_call *call, void *arg);

#endif
