/*
 * kernel_faults: in the build that tests strike at, these stand before the C library's functions of
 * the same name, for everybody in the process, libraries too. A rule of STAGEPOST_FAULTS makes
 * memory, processes or descriptors short, interrupts calls, or lets them carry an octet at a time,
 * as the kernel may whenever it likes.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/os/faults.h"

/* The C library's own */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
pid_t __fork(void);

static bool fails(enum fault_op op)
{
	int error = fault_point(op).error;
	if (error)
		errno = error;
	return error != 0;
}

void *malloc(size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return size > 0 && fails(FAULT_MEMORY) ? NULL : __libc_realloc(old, size);
}

pid_t fork(void)
{
	return fails(FAULT_FORK) ? -1 : __fork();
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(FAULT_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

/* Is it cut without harm? Files and streams are, a packet of a channel is not. A sandbox that does
 * not let us ask is one without streams. */
enum way { WAY_OTHER, WAY_STREAM, WAY_FILE };

static enum way way_of(int fd)
{
	struct stat st;
	int type = 0, before = errno;
	socklen_t len = sizeof(type);
	enum way way = WAY_OTHER;
	if (syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode))
		way = WAY_FILE;
	else if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM)
		way = WAY_STREAM;
	errno = before;
	return way;
}

/* How many of len octets may go; -1: the call is interrupted. lie: to a file, none go. */
static ssize_t may_carry(int fd, size_t len, bool *lie)
{
	enum way way = fault_named(FAULT_OCTETS) ? way_of(fd) : WAY_OTHER;
	*lie = false;
	if (way == WAY_OTHER)
		return (ssize_t)len;
	struct fault f = fault_point(FAULT_OCTETS);
	*lie = f.lie && way == WAY_FILE;
	if (f.error || (f.most && f.odd)) {
		errno = f.error ? f.error : EINTR;
		return -1;
	}
	return f.most && (size_t)f.most < len ? f.most : (ssize_t)len;
}

static bool interrupted(void)
{
	struct fault f = fault_point(FAULT_OCTETS);
	if (f.most && f.odd)
		errno = EINTR;
	return f.most && f.odd;
}

ssize_t read(int fd, void *to, size_t len)
{
	bool lie;
	ssize_t n = may_carry(fd, len, &lie);
	return n < 0 ? -1 : syscall(SYS_read, fd, to, (size_t)n);
}

ssize_t pread(int fd, void *to, size_t len, off_t offset)
{
	bool lie;
	ssize_t n = may_carry(fd, len, &lie);
	return n < 0 ? -1 : syscall(SYS_pread64, fd, to, (size_t)n, offset);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	bool lie;
	ssize_t n = may_carry(fd, len, &lie);
	return n < 0 ? -1 : recvfrom(fd, to, (size_t)n, flags, NULL, NULL);
}

ssize_t write(int fd, const void *from, size_t len)
{
	bool lie;
	ssize_t n = may_carry(fd, len, &lie);
	return n < 0 || lie ? n : syscall(SYS_write, fd, from, (size_t)n);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
	bool lie;
	ssize_t n = may_carry(fd, len, &lie);
	return n < 0 || lie ? n : sendto(fd, from, (size_t)n, flags, NULL, 0);
}

static size_t length_of(const struct iovec *iov, int count)
{
	size_t len = 0;
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	return len;
}

/* Whole, or what is allowed of its first part: pwritev(2) may always stop early. */
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	bool lie;
	size_t len = length_of(iov, count);
	ssize_t n = may_carry(fd, len, &lie);
	if (n < 0 || lie)
		return n;
	if ((size_t)n == len)
		return syscall(SYS_pwritev, fd, iov, count, offset, 0);
	while (iov->iov_len == 0)
		iov++;
	len = (size_t)n < iov->iov_len ? (size_t)n : iov->iov_len;
	return syscall(SYS_pwrite64, fd, iov->iov_base, len, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	bool lie;
	struct iovec first = count > 0 ? iov[0] : (struct iovec){NULL, 0};
	ssize_t n = may_carry(fd, first.iov_len, &lie);
	if (n < 0)
		return -1;
	if ((size_t)n < first.iov_len) {
		first.iov_len = (size_t)n;
		iov = &first;
		count = 1;
	}
	return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);
}

int fdatasync(int fd)
{
	return interrupted() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return interrupted() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	return interrupted() ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int ftruncate(int fd, off_t len)
{
	return interrupted() ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

/* Packets are interrupted, never cut. */
ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return interrupted() ? -1 : syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	return interrupted() ? -1 : syscall(SYS_recvmsg, fd, m, flags);
}
