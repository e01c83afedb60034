/*
 * lock: F_OFD_SETLK on the whole file. l_pid must be 0 in these calls (fcntl(2)).
 */
#include "common/os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/os/disk.h"

enum { PID_TEXT_SIZE = 24 };

static int lock_set(int fd, short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET};
	int result = (int)TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_SETLK, &l));
	if (result < 0 && errno == EACCES) /* POSIX lets either mean that another holds it */
		errno = EAGAIN;
	return result;
}

int lock_take(int fd, bool exclusive)
{
	return lock_set(fd, exclusive ? F_WRLCK : F_RDLCK);
}

int lock_release(int fd)
{
	return lock_set(fd, F_UNLCK);
}

int lock_held_by_other(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_GETLK, &l)) < 0)
		return -1;
	return l.l_type != F_UNLCK;
}

/* The kernel gives a lease for writing only where this is so (fcntl(2)). It is given back at once;
 * who opens the file in between waits so long, and process_begin() has seen to it that the signal
 * which asks for it back does nothing. */
int lock_alone(int fd)
{
	if (TEMP_FAILURE_RETRY(fcntl(fd, F_SETLEASE, F_WRLCK)) < 0)
		return errno == EAGAIN ? 0 : -1;
	return TEMP_FAILURE_RETRY(fcntl(fd, F_SETLEASE, F_UNLCK)) < 0 ? -1 : 1;
}

static pid_t read_holder(int fd)
{
	char text[PID_TEXT_SIZE];
	ssize_t len = disk_pread(fd, text, sizeof(text), 0);
	uint64_t number;
	struct slice first, rest;
	if (len <= 0)
		return 0;
	slice_split(slice_make(text, (size_t)len), '\n', &first, &rest);
	return slice_number(first, INT32_MAX, &number) ? (pid_t)number : 0;
}

/* Never empty meanwhile, so that who finds the lock taken always reads a number. */
static int write_holder(int fd)
{
	char text[PID_TEXT_SIZE];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (disk_pwrite(fd, text, (size_t)len, 0) < 0)
		return -1;
	return disk_truncate(fd, (uint64_t)len);
}

bool lock_file_take(int dirfd, const char *name, int *fd, pid_t *holder, struct error *e)
{
	*holder = 0;
	int lock = disk_open(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (lock < 0)
		return error_set(e, errno, "lock file %s: %s", name, strerror(errno));
	if (lock_take(lock, true) == 0 && write_holder(lock) == 0) {
		*fd = lock;
		return true;
	}
	int error = errno;
	if (error == EAGAIN)
		*holder = read_holder(lock);
	disk_close(lock);
	if (error == EAGAIN)
		return error_set(e, error, "lock file %s is held by process %d", name,
				 (int)*holder);
	return error_set(e, error, "lock file %s: %s", name, strerror(error));
}
