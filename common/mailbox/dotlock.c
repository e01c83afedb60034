/*
 * Made with O_EXCL, empty. While we hold it we have the kernel's lock on it too, and it has a mode
 * that no other program gives such a file: one of that mode without that lock is what a process
 * left that died. Another program's is told by its age. The lock of the mailbox itself, which is
 * taken besides, covers for two who remove the same old one.
 */
#include "common/mailbox/dotlock.h"

#include <errno.h>

#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum {
	LOCK_MODE = S_IRWXU,
	YOUNG_US = 2 * 1000 * 1000, /* its maker may not have come to lock it */
};

static bool is_older(const struct stat *st, uint64_t us)
{
	uint64_t now = clock_wall_us(), made = (uint64_t)st->st_mtime * CLOCK_SECOND;
	return S_ISREG(st->st_mode) && made < now && now - made > us;
}

/* True: it is gone. */
static bool remove_stale(int dir, const char *name, uint64_t stale_us)
{
	struct stat st;
	return disk_stat_at(dir, name, &st) == 0 && is_older(&st, stale_us) &&
	       disk_unlink(dir, name) == 0;
}

/* Is the open file what the name means? Nobody but us removes it while we have its lock. */
static bool is_named(int dir, const char *name, const struct stat *st)
{
	struct stat named;
	return disk_stat_at(dir, name, &named) == 0 && st->st_dev == named.st_dev &&
	       st->st_ino == named.st_ino;
}

/* True: its holder had died, and it is gone. */
static bool remove_orphan(int dir, const char *name)
{
	struct stat st;
	int fd = disk_open(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return false;
	bool removed = disk_stat(fd, &st) == 0 && (st.st_mode & ALLPERMS) == LOCK_MODE &&
		       is_older(&st, YOUNG_US) && lock_take(fd, true) == 0 &&
		       is_named(dir, name, &st) && disk_unlink(dir, name) == 0;
	disk_close(fd);
	return removed;
}

static int make(int dir, const char *name, int *held)
{
	*held = disk_create(dir, name, O_RDWR, LOCK_MODE);
	if (*held < 0)
		return errno;
	/* taken by somebody who thinks it an orphan, or the file system has none: then the
	 * mailbox could not be locked either */
	if (lock_take(*held, true) == 0)
		return 0;
	int error = errno;
	(void)disk_unlink(dir, name);
	disk_close(*held);
	return error;
}

int dotlock_try(int dir, const char *name, uint64_t stale_us, int *held)
{
	int error = make(dir, name, held);
	if (error == EEXIST && (remove_orphan(dir, name) || remove_stale(dir, name, stale_us)))
		error = make(dir, name, held);
	return error;
}

void dotlock_release(int dir, const char *name, int held)
{
	(void)disk_unlink(dir, name); /* one that stays is an orphan */
	disk_close(held);	      /* last: nobody may take it for an orphan before */
}
