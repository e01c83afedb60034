/*
 * Made with O_EXCL. While we hold it we have the kernel's lock on it too, and then it says that it
 * is ours: such a file without that lock is what a process left that died. Another program's is
 * told by its age. The lock of the mailbox itself, which is taken besides, covers for two who
 * remove the same old one.
 */
#include "daemons/local/dotlock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/slice.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum { LOCK_MODE = 0640, TEXT_SIZE = 40 };

/* Behind the number of the process, by which other programs see that it lives (liblockfile). */
static const struct slice SIGN = {" stagepost\n", 11};

static bool is_stale(int dir, const char *name, uint64_t stale_us)
{
	struct stat st;
	uint64_t now = clock_wall_us(), made;
	if (disk_stat_at(dir, name, &st) < 0)
		return false;
	made = (uint64_t)st.st_mtime * CLOCK_SECOND;
	return S_ISREG(st.st_mode) && made < now && now - made > stale_us;
}

static bool is_signed(int fd)
{
	char text[TEXT_SIZE];
	ssize_t len = disk_pread(fd, text, sizeof(text), 0);
	return len > 0 && slice_ends_fold(slice_make(text, (size_t)len), SIGN);
}

/* Is the open file what the name means? Nobody but us removes it while we have its lock. */
static bool is_named(int dir, const char *name, int fd)
{
	struct stat st, named;
	return disk_stat(fd, &st) == 0 && disk_stat_at(dir, name, &named) == 0 &&
	       S_ISREG(st.st_mode) && st.st_dev == named.st_dev && st.st_ino == named.st_ino;
}

/* True: its holder had died, and it is gone. */
static bool remove_orphan(int dir, const char *name)
{
	int fd = disk_open(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return false;
	bool removed = is_signed(fd) && lock_take(fd, true) == 0 && is_named(dir, name, fd) &&
		       disk_unlink(dir, name) == 0;
	disk_close(fd);
	return removed;
}

/* Without the kernel's lock, or unsigned on a full disk, it is a lock file like any other's. */
static void sign(int fd)
{
	char text[TEXT_SIZE];
	int len = snprintf(text, sizeof(text), "%d%.*s", (int)getpid(), SLICE_FMT(SIGN));
	if (lock_take(fd, true) == 0)
		(void)disk_write(fd, text, (size_t)len);
}

static int make(int dir, const char *name, int *held)
{
	*held = disk_create(dir, name, O_RDWR, LOCK_MODE);
	if (*held < 0)
		return errno;
	sign(*held);
	return 0;
}

int dotlock_try(int dir, const char *name, uint64_t stale_us, int *held)
{
	int error = make(dir, name, held);
	if (error == EEXIST && (remove_orphan(dir, name) ||
				(is_stale(dir, name, stale_us) && disk_unlink(dir, name) == 0)))
		error = make(dir, name, held);
	return error;
}

void dotlock_release(int dir, const char *name, int held)
{
	(void)disk_unlink(dir, name); /* one that stays is an orphan */
	disk_close(held);	      /* last: nobody may take it for an orphan before */
}
