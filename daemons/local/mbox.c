/*
 * In this order: the lock file, before the mailbox is opened; the mailbox, which must be a regular
 * file of ours with one name and no link; the kernel's lock; the same look again, since it may have
 * been replaced while we waited; then the message, synced. On any error the file is cut to what it
 * was (S51).
 *
 * The directory of mailboxes belongs to a group (Debian: mail) that may make files in it. That
 * group is taken for the moment of making or removing one.
 */
#include "daemons/local/mbox.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "daemons/local/dotlock.h"
#include "daemons/local/mbox_text.h"

enum {
	MODE_OF_SPOOL = 0660, /* owner and group of the directory, Debian policy 11.6 */
	MODE_OF_HOME = 0600,
	OPEN_TRIES = 3, /* when it is made and removed by others meanwhile */
};

struct mbox {
	const struct mbox_place *place;
	struct outcome *o;
	char lock[NAME_MAX + 1];
	int lock_fd;
	unsigned tries_left;
	int fd;
	bool made;
	uint64_t size; /* before */
	struct mbox_quote quote;
};

static void as_group(const struct mbox *m, bool on)
{
	gid_t gid = on ? m->place->group : getgid();
	if (getegid() != gid && setresgid((gid_t)-1, gid, (gid_t)-1) < 0)
		panic("the effective group can't be %u", (unsigned)gid);
}

static bool trouble(struct mbox *m, const char *doing)
{
	outcome_error(m->o, errno, "mailbox %s %s", m->place->path, doing);
	return false;
}

static bool refuse(struct mbox *m, const char *why)
{
	outcome_set(m->o, 451, "4.2.0", true, "mailbox %s %s", m->place->path, why);
	return false;
}

/* False: that was the last try. */
static bool wait_for_other(struct mbox *m)
{
	uint64_t us = m->place->wait_us;
	struct timespec t = {(time_t)(us / CLOCK_SECOND), (long)(us % CLOCK_SECOND) * 1000};
	if (--m->tries_left == 0)
		return refuse(m, "is locked by another program");
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return true;
}

static bool take_dotlock(struct mbox *m)
{
	for (;;) {
		as_group(m, true);
		int error = dotlock_try(m->place->dir, m->lock, MBOX_STALE_US, &m->lock_fd);
		as_group(m, false);
		if (!error)
			return true;
		errno = error;
		if (error != EEXIST)
			return trouble(m, "can't be locked");
		if (!wait_for_other(m))
			return false;
	}
}

static int make_file(struct mbox *m)
{
	struct stat st;
	as_group(m, true);
	int fd = disk_create(m->place->dir, m->place->name, O_RDWR | O_APPEND, MODE_OF_HOME);
	as_group(m, false);
	if (fd < 0)
		return -1;
	m->made = true;
	if (m->place->group != getgid() && disk_stat(fd, &st) == 0 && st.st_gid == m->place->group)
		(void)disk_chmod(fd, MODE_OF_SPOOL);
	return fd;
}

/* Not waiting: a FIFO in its place must not hold us. */
static bool open_file(struct mbox *m)
{
	const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int tries = 0;
	do {
		m->fd = disk_open(m->place->dir, m->place->name, flags, 0);
		if (m->fd < 0 && errno == ENOENT)
			m->fd = make_file(m);
	} while (m->fd < 0 && (errno == EEXIST || errno == ENOENT) && ++tries < OPEN_TRIES);
	if (m->fd < 0 && errno == ELOOP)
		return refuse(m, "is a symbolic link");
	return m->fd >= 0 || trouble(m, "can't be opened");
}

/* Is what is open still what its name means, and ours alone? */
static bool look_at_file(struct mbox *m)
{
	struct stat st, named;
	if (disk_stat(m->fd, &st) < 0 || disk_stat_at(m->place->dir, m->place->name, &named) < 0)
		return trouble(m, "can't be looked at");
	if (!S_ISREG(st.st_mode))
		return refuse(m, "is not a regular file");
	if (st.st_uid != geteuid())
		return refuse(m, "belongs to another user");
	if (st.st_nlink != 1)
		return refuse(m, "has other names (hard links)");
	if (st.st_dev != named.st_dev || st.st_ino != named.st_ino)
		return refuse(m, "was replaced while it was opened");
	m->size = (uint64_t)st.st_size;
	return true;
}

static bool take_kernel_lock(struct mbox *m)
{
	while (lock_take(m->fd, true) < 0) {
		if (errno != EAGAIN)
			return trouble(m, "can't be locked");
		if (!wait_for_other(m))
			return false;
	}
	return true;
}

static bool write_octets(void *arg, struct slice octets)
{
	struct mbox *m = arg;
	return disk_write(m->fd, octets.ptr, octets.len) == 0;
}

static bool put(void *arg, struct slice octets)
{
	struct mbox *m = arg;
	return mbox_quote(&m->quote, octets, write_octets, m);
}

/* What another has left half written must not swallow our first line. */
static bool put_separator(struct mbox *m)
{
	char last[2] = "";
	if (m->size == 0)
		return true;
	if (m->size == 1)
		return write_octets(m, SLICE("\n"));
	if (disk_pread(m->fd, last, sizeof(last), m->size - sizeof(last)) != sizeof(last))
		return false;
	if (last[1] != '\n')
		return write_octets(m, SLICE("\n\n"));
	return last[0] == '\n' || write_octets(m, SLICE("\n"));
}

static bool put_from_line(struct mbox *m, const struct letter *letter)
{
	uint64_t now = clock_wall_us();
	char text[MBOX_FROM_SIZE];
	return write_octets(m,
			    mbox_from_line(letter->sender, now, clock_offset_minutes(now), text));
}

static bool append(struct mbox *m, const struct letter *letter, struct letter_room *room)
{
	enum letter_fault fault = LETTER_TROUBLE;
	if (put_separator(m) && put_from_line(m, letter))
		fault = letter_write(letter, room, put, m);
	if (!fault && mbox_quote_end(&m->quote, write_octets, m) && disk_fsync(m->fd) == 0 &&
	    (!m->made || disk_fsync_dir(m->place->dir) == 0)) {
		outcome_delivered(m->o, "mailbox");
		return true;
	}
	int error = errno;
	if (!outcome_letter(m->o, fault, letter))
		outcome_error(m->o, error, "mailbox %s can't be written to", m->place->path);
	if (disk_truncate(m->fd, m->size) < 0)
		outcome_remark(m->o, "; a part of the message is left behind");
	return false;
}

static void deliver_locked(struct mbox *m, const struct letter *letter, struct letter_room *room)
{
	if (!open_file(m))
		return;
	bool done =
	    look_at_file(m) && take_kernel_lock(m) && look_at_file(m) && append(m, letter, room);
	if (disk_close(m->fd) < 0 && done) /* over NFS it may be then that it is not there */
		trouble(m, "can't be closed");
}

void mbox_deliver(const struct mbox_place *place, const struct letter *letter,
		  struct letter_room *room, struct outcome *o)
{
	struct mbox m = {.place = place, .o = o, .tries_left = place->tries, .fd = -1};
	int len = snprintf(m.lock, sizeof(m.lock), "%s.lock", place->name);
	if (len < 0 || (size_t)len >= sizeof(m.lock)) {
		outcome_set(o, 553, "5.1.3", false, "the address is too long to name a mailbox");
		return;
	}
	if (!take_dotlock(&m))
		return;
	deliver_locked(&m, letter, room);
	as_group(&m, true);
	dotlock_release(place->dir, m.lock, m.lock_fd);
	as_group(&m, false);
}
