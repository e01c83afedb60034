/*
 * In this order: the lock file, before the mailbox is opened; the mailbox, which must be a regular
 * file of ours with one name and no link; the kernel's lock; the same look again, since it may have
 * been replaced while we waited (S51).
 *
 * The directory of mailboxes belongs to a group (Debian: mail) that may make files in it. That
 * group is taken for the moment of making or removing one.
 */
#include "common/mailbox/mbox_hold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/mailbox/dotlock.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum { OPEN_TRIES = 3 /* when it is made and removed by others meanwhile */ };

struct taking {
	struct mbox_hold *h;
	struct error *e;
	unsigned tries_left;
};

void mbox_hold_as_group(const struct mbox_hold *h, bool on)
{
	gid_t gid = on ? h->group : getgid();
	if (getegid() != gid && setresgid((gid_t)-1, gid, (gid_t)-1) < 0)
		panic("the effective group can't be %u", (unsigned)gid);
}

static bool trouble(struct taking *t, const char *doing)
{
	int error = errno;
	return error_set(t->e, error, "%s: %s", doing, strerror(error));
}

/* False: that was the last try. */
static bool wait_for_other(struct taking *t)
{
	uint64_t us = t->h->wait_us;
	struct timespec rest = {(time_t)(us / CLOCK_SECOND), (long)(us % CLOCK_SECOND) * 1000};
	if (--t->tries_left == 0)
		return error_set(t->e, EBUSY, "is locked by another program");
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
	return true;
}

static bool take_dotlock(struct taking *t)
{
	struct mbox_hold *h = t->h;
	for (;;) {
		mbox_hold_as_group(h, true);
		int error = dotlock_try(h->dir, h->lock, MBOX_STALE_US, &h->lock_fd);
		mbox_hold_as_group(h, false);
		if (!error)
			return true;
		errno = error;
		if (error != EEXIST)
			return trouble(t, "can't be locked");
		if (!wait_for_other(t))
			return false;
	}
}

static int make_file(struct mbox_hold *h)
{
	struct stat st;
	mbox_hold_as_group(h, true);
	int fd = disk_create(h->dir, h->name, O_RDWR | O_APPEND, MBOX_MODE_OF_HOME);
	mbox_hold_as_group(h, false);
	if (fd < 0)
		return -1;
	h->made = true;
	if (h->group != getgid() && disk_stat(fd, &st) == 0 && st.st_gid == h->group)
		(void)disk_chmod(fd, MBOX_MODE_OF_SPOOL);
	return fd;
}

/* Not waiting: a FIFO in its place must not hold us. */
static bool open_file(struct taking *t)
{
	const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct mbox_hold *h = t->h;
	int tries = 0;
	do {
		h->fd = disk_open(h->dir, h->name, flags, 0);
		if (h->fd < 0 && errno == ENOENT && h->make)
			h->fd = make_file(h);
	} while (h->fd < 0 && h->make && (errno == EEXIST || errno == ENOENT) &&
		 ++tries < OPEN_TRIES);
	if (h->fd < 0 && errno == ELOOP)
		return error_set(t->e, EINVAL, "is a symbolic link");
	return h->fd >= 0 || trouble(t, "can't be opened");
}

/* Is what is open still what its name means, and ours alone? */
static bool look_at_file(struct taking *t)
{
	struct mbox_hold *h = t->h;
	struct stat st, named;
	if (disk_stat(h->fd, &st) < 0 || disk_stat_at(h->dir, h->name, &named) < 0)
		return trouble(t, "can't be looked at");
	if (!S_ISREG(st.st_mode))
		return error_set(t->e, EINVAL, "is not a regular file");
	if (st.st_uid != geteuid())
		return error_set(t->e, EINVAL, "belongs to another user");
	if (st.st_nlink != 1)
		return error_set(t->e, EINVAL, "has other names (hard links)");
	if (st.st_dev != named.st_dev || st.st_ino != named.st_ino)
		return error_set(t->e, EBUSY, "was replaced while it was opened");
	h->size = (uint64_t)st.st_size;
	return true;
}

static bool take_kernel_lock(struct taking *t)
{
	while (lock_take(t->h->fd, true) < 0) {
		if (errno != EAGAIN)
			return trouble(t, "can't be locked");
		if (!wait_for_other(t))
			return false;
	}
	return true;
}

static void drop_dotlock(struct mbox_hold *h)
{
	mbox_hold_as_group(h, true);
	dotlock_release(h->dir, h->lock, h->lock_fd);
	mbox_hold_as_group(h, false);
}

bool mbox_hold_take(struct mbox_hold *h, struct error *e)
{
	struct taking t = {h, e, h->tries};
	int len = snprintf(h->lock, sizeof(h->lock), "%s.lock", h->name);
	h->fd = -1;
	h->made = false;
	if (len < 0 || (size_t)len >= sizeof(h->lock))
		return error_set(e, ENAMETOOLONG, "has too long a name");
	if (!take_dotlock(&t))
		return false;
	if (open_file(&t) && look_at_file(&t) && take_kernel_lock(&t) && look_at_file(&t))
		return true;
	if (h->fd >= 0)
		disk_close(h->fd);
	drop_dotlock(h);
	return false;
}

bool mbox_hold_end(struct mbox_hold *h)
{
	bool closed = disk_close(h->fd) == 0;
	int error = errno;
	h->fd = -1;
	drop_dotlock(h);
	errno = error;
	return closed;
}
