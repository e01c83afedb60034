/*
 * In this order: the lock file, before the mailbox is opened; the mailbox, which must be a regular
 * file of ours with one name and no link; the kernel's lock; the same look again, since it may have
 * been replaced while we waited; then the messages, and one sync. Of a message that fails the file
 * is cut to what it was before (S51).
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

#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "daemons/local/dotlock.h"
#include "daemons/local/mbox_text.h"

enum {
	MODE_OF_SPOOL = 0660, /* owner and group of the directory, Debian policy 11.6 */
	MODE_OF_HOME = 0600,
	OUT_SIZE = 64 * 1024,
	OPEN_TRIES = 3, /* when it is made and removed by others meanwhile */
};

struct mbox {
	const struct mbox_place *place;
	const struct mbox_item *items;
	size_t count;
	struct outcome trouble; /* of all of them */
	char lock[NAME_MAX + 1];
	int lock_fd;
	unsigned tries_left;
	int fd;
	bool made;
	uint64_t size; /* without what is being written */
	bool ours;     /* it ends with a message of ours */
	struct mbox_quote quote;
	uint64_t written; /* octets of the message so far */
	size_t out_len;
	char out[OUT_SIZE]; /* what of it is not in the file yet */
};

static void as_group(const struct mbox *m, bool on)
{
	gid_t gid = on ? m->place->group : getgid();
	if (getegid() != gid && setresgid((gid_t)-1, gid, (gid_t)-1) < 0)
		panic("the effective group can't be %u", (unsigned)gid);
}

static bool trouble(struct mbox *m, const char *doing)
{
	outcome_error(&m->trouble, errno, "mailbox %s %s", m->place->path, doing);
	return false;
}

static bool refuse(struct mbox *m, const char *why)
{
	outcome_set(&m->trouble, 451, "4.2.0", true, "mailbox %s %s", m->place->path, why);
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

static bool flush(struct mbox *m)
{
	size_t len = m->out_len;
	m->out_len = 0;
	return len == 0 || disk_write(m->fd, m->out, len) == 0;
}

/* A message that fits goes in one write. */
static bool write_octets(void *arg, struct slice octets)
{
	struct mbox *m = arg;
	m->written += octets.len;
	if (octets.len > sizeof(m->out) - m->out_len && !flush(m))
		return false;
	if (octets.len > sizeof(m->out))
		return disk_write(m->fd, octets.ptr, octets.len) == 0;
	memcpy(m->out + m->out_len, octets.ptr, octets.len);
	m->out_len += octets.len;
	return true;
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
	if (m->size == 0 || m->ours)
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

/* Cuts it to what it was; false: there is more in it than there should be. */
static bool cut(struct mbox *m, uint64_t size, struct outcome *o)
{
	if (disk_truncate(m->fd, size) == 0)
		return true;
	outcome_remark(o, "; a part of the message is left behind");
	return false;
}

/* False: it makes no sense to go on with others. */
static bool append(struct mbox *m, const struct mbox_item *item, struct letter_room *room)
{
	enum letter_fault fault = LETTER_TROUBLE;
	m->quote = (struct mbox_quote){0};
	m->written = m->out_len = 0;
	if (put_separator(m) && put_from_line(m, item->letter))
		fault = letter_write(item->letter, room, put, m);
	if (!fault && mbox_quote_end(&m->quote, write_octets, m) && flush(m)) {
		m->size += m->written;
		m->ours = true;
		outcome_delivered(item->outcome, "mailbox");
		return true;
	}
	int error = errno;
	if (!outcome_letter(item->outcome, fault, item->letter))
		outcome_error(item->outcome, error, "mailbox %s can't be written to",
			      m->place->path);
	return cut(m, m->size, item->outcome);
}

/* Those that are in the file are not durable, and taken back. */
static void take_back(struct mbox *m, uint64_t size, int error)
{
	for (size_t i = 0; i < m->count; i++) {
		struct outcome *o = m->items[i].outcome;
		if (o->status != JOB_DELIVERED)
			continue;
		outcome_error(o, error, "mailbox %s can't be written to", m->place->path);
		cut(m, size, o);
	}
}

static void append_all(struct mbox *m, struct letter_room *room)
{
	uint64_t before = m->size;
	size_t i = 0;
	while (i < m->count && append(m, &m->items[i], room))
		i++;
	for (size_t k = i + 1; k < m->count; k++)
		outcome_error(m->items[k].outcome, EIO, "mailbox %s can't be written to",
			      m->place->path);
	if (m->size > before &&
	    (disk_fsync(m->fd) < 0 || (m->made && disk_fsync_dir(m->place->dir) < 0)))
		take_back(m, before, errno);
}

/* False: none of them was delivered, and m->trouble says why. */
static bool deliver_locked(struct mbox *m, struct letter_room *room)
{
	if (!open_file(m))
		return false;
	bool ready = look_at_file(m) && take_kernel_lock(m) && look_at_file(m);
	if (ready)
		append_all(m, room);
	if (disk_close(m->fd) < 0 && ready) /* over NFS it may be then that it is not there */
		return trouble(m, "can't be closed");
	return ready;
}

static bool deliver(struct mbox *m, struct letter_room *room)
{
	int len = snprintf(m->lock, sizeof(m->lock), "%s.lock", m->place->name);
	if (len < 0 || (size_t)len >= sizeof(m->lock)) {
		outcome_set(&m->trouble, 553, "5.1.3", false,
			    "the address is too long to name a mailbox");
		return false;
	}
	if (!take_dotlock(m))
		return false;
	bool done = deliver_locked(m, room);
	as_group(m, true);
	dotlock_release(m->place->dir, m->lock, m->lock_fd);
	as_group(m, false);
	return done;
}

void mbox_deliver(const struct mbox_place *place, const struct mbox_item *items, size_t count,
		  struct letter_room *room)
{
	struct mbox *m = memory_zero(1, sizeof(*m));
	m->place = place;
	m->items = items;
	m->count = count;
	m->tries_left = place->tries;
	m->fd = -1;
	if (!deliver(m, room))
		for (size_t i = 0; i < count; i++)
			*items[i].outcome = m->trouble;
	memory_free(m);
}
