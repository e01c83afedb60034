/*
 * A file of messages (mbox). It is locked against all other programs only while it is read once,
 * and while it is written; in between mail may be delivered behind what the session has seen, and
 * stays. Other sessions are kept out by a lock file of our own beside it.
 *
 * To remove messages, the others are written to a new file, which takes the name when it is
 * durable: a crash or a full disk leaves the mailbox as it was (S51). What other programs have done
 * meanwhile is read again first; a message is known by its digest, not by its place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/mailbox/dotlock.h"
#include "common/mailbox/mbox_hold.h"
#include "common/mailbox/mbox_scan.h"
#include "common/os/disk.h"
#include "daemons/maildrop/drop.h"

enum {
	HOLD_TRIES = 100, /* ten seconds in all */
	HOLD_WAIT_US = 100 * 1000,
	HEADER_MAX = 1024 * 1024, /* octets in which a header must end, to be known again */
};

struct mbox {
	char name[NAME_MAX + 1]; /* of the file in dir */
	char session_lock[NAME_MAX + 1];
	int session_fd; /* -1: not locked */
	int fd;		/* -1: there is no such file */
	struct mbox_scan *scan;
	const struct mbox_message *messages;
};

/* The directory of the file; no user's name begins with a dot, so the lock is nobody's mailbox. */
static bool prepare(struct drop *d, int base, const char *path, struct error *e)
{
	struct slice whole = slice_str(path);
	size_t slash = slice_find_last(whole, '/');
	bool below = slash < whole.len;
	struct mbox *m = memory_zero(1, sizeof(*m));
	char *parent = memory_string(below ? slice_sub(whole, 0, slash) : SLICE("."));
	d->messages = m;
	m->fd = m->session_fd = -1;
	d->dir = disk_open_beneath(base, parent, O_RDONLY | O_DIRECTORY);
	memory_free(parent);
	if (!slice_copy(slice_from(whole, below ? slash + 1 : 0), m->name, sizeof(m->name)) ||
	    (size_t)snprintf(m->session_lock, sizeof(m->session_lock), ".%s.pop3.lock", m->name) >=
		sizeof(m->session_lock))
		return error_set(e, ENAMETOOLONG, "mailbox %s has too long a name", path);
	if (d->dir >= 0 || errno == ENOENT)
		return true;
	return error_set(e, errno, "the folder of mailbox %s can't be opened: %s", path,
			 strerror(errno));
}

static struct mbox_hold hold_for(const struct drop *d, const struct mbox *m)
{
	return (struct mbox_hold){.dir = d->dir,
				  .name = m->name,
				  .group = d->group,
				  .tries = HOLD_TRIES,
				  .wait_us = HOLD_WAIT_US};
}

/* Another session's is never old: it goes with its process. */
static enum maildrop_standing lock_session(struct drop *d, struct mbox *m, struct error *e)
{
	struct mbox_hold h = hold_for(d, m);
	unsigned tries = 0;
	int error;
	do {
		mbox_hold_as_group(&h, true);
		error = dotlock_try(d->dir, m->session_lock, UINT64_MAX, &m->session_fd);
		mbox_hold_as_group(&h, false);
	} while (error == EEXIST && drop_wait(&tries));
	if (!error)
		return MAILDROP_READY;
	m->session_fd = -1;
	error_set(e, error, "%s: %s", m->session_lock,
		  error == EEXIST ? "another session has it" : strerror(error));
	return error == EEXIST ? MAILDROP_LOCKED : MAILDROP_TROUBLE;
}

/* Reads [from, to) of the file into the scan. */
static bool scan_range(struct mbox_scan *s, int fd, uint64_t from, uint64_t to, struct error *e)
{
	char *chunk = memory_get(DROP_CHUNK);
	bool good = true;
	while (good && from < to) {
		size_t want = to - from < DROP_CHUNK ? (size_t)(to - from) : DROP_CHUNK;
		ssize_t n = disk_pread(fd, chunk, want, from);
		if (n != (ssize_t)want)
			good = error_set(e, n < 0 ? errno : EIO, "it can't be read");
		else if (!mbox_scan_add(s, slice_make(chunk, want)))
			good = error_set(e, EFBIG, "there are too many messages");
		from += want;
	}
	memory_free(chunk);
	return good;
}

static enum maildrop_standing open_mbox(struct drop *d, struct error *e)
{
	struct mbox *m = d->messages;
	struct mbox_hold h = hold_for(d, m);
	struct error trouble = {0};
	enum maildrop_standing standing;
	if (d->dir < 0)
		return MAILDROP_READY;
	standing = lock_session(d, m, e);
	if (standing != MAILDROP_READY)
		return standing;
	if (!mbox_hold_take(&h, &trouble)) {
		if (trouble.code == ENOENT)
			return MAILDROP_READY;
		error_set(e, trouble.code, "mailbox %s %s", m->name, trouble.text);
		return MAILDROP_TROUBLE;
	}
	m->scan = mbox_scan_new(MAILDROP_MESSAGES_MAX);
	bool good = scan_range(m->scan, h.fd, 0, h.size, e);
	if (!good && e->code == EFBIG) { /* the first ones can be fetched, and make room */
		good = true;
		d->skipped++;
	}
	m->messages = mbox_scan_end(m->scan, &d->count);
	if (good) /* not through the lock's descriptor, which goes with it */
		m->fd = disk_open(d->dir, m->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (good && m->fd < 0)
		good = error_set(e, errno, "it can't be opened: %s", strerror(errno));
	mbox_hold_end(&h);
	return good ? MAILDROP_READY : MAILDROP_TROUBLE;
}

static uint64_t octets(const struct drop *d, size_t index)
{
	const struct mbox *m = d->messages;
	return m->messages[index].octets;
}

static size_t unique(const struct drop *d, size_t index, char uid[MAILDROP_UIDL_MAX])
{
	const struct mbox *m = d->messages;
	return drop_unique(m->messages[index].digest, m->messages[index].twin, uid);
}

/* Programs that note something in its header do not change the digest: then its end has moved. */
static bool ends_there(const struct mbox *m, const struct mbox_message *one)
{
	char next[sizeof("\r\nFrom ") - 1];
	ssize_t n = disk_pread(m->fd, next, sizeof(next), one->end);
	struct slice rest = slice_make(next, n > 0 ? (size_t)n : 0);
	bool empty = slice_starts(rest, SLICE("\n")), long_one = slice_starts(rest, SLICE("\r\n"));
	if (n > 0 && !empty && !long_one)
		return false;
	rest = slice_from(rest, (size_t)empty + 2 * (size_t)long_one);
	return n >= 0 && (rest.len == 0 || slice_starts(rest, SLICE("From ")));
}

/* Is the message still where it was? Another program may have written the file anew. */
static bool is_there(const struct mbox *m, const struct mbox_message *one)
{
	struct mbox_scan *s = mbox_scan_new(1);
	struct error e;
	uint64_t at = one->start, end = one->end;
	if (end - at > HEADER_MAX)
		end = at + HEADER_MAX;
	bool good = true;
	while (good && at < end && !mbox_scan_header_seen(s)) {
		uint64_t to = end - at < DROP_CHUNK ? end : at + DROP_CHUNK;
		good = scan_range(s, m->fd, at, to, &e);
		at = to;
	}
	if (good && at == one->end && !mbox_scan_header_seen(s)) {
		size_t count; /* it is all header */
		mbox_scan_end(s, &count);
	}
	good = good && mbox_scan_is(s, one->digest) && ends_there(m, one);
	mbox_scan_free(&s);
	return good;
}

static ssize_t read_mbox(struct drop *d, size_t index, uint64_t from, char *out, size_t size,
			 bool *last)
{
	struct mbox *m = d->messages;
	const struct mbox_message *one = &m->messages[index];
	uint64_t left = one->end - one->content;
	left = from < left ? left - from : 0;
	*last = size >= left;
	if (*last)
		size = (size_t)left;
	ssize_t n = disk_pread(m->fd, out, size, one->content + from);
	/* looked at behind the last octet, too: what was written anew meanwhile is no message */
	if (n >= 0 && ((size_t)n < size || ((from == 0 || *last) && !is_there(m, one)))) {
		errno = ESTALE;
		return -1;
	}
	return n;
}

/* Removing */

struct rewriting {
	struct drop *drop;
	struct mbox *mbox;
	struct mbox_hold hold;
	struct mbox_scan *now; /* the file as it is at this moment */
	const struct mbox_message *messages;
	size_t count;
	const struct mbox_message **marked; /* by digest and twin */
	size_t marked_count;
	char name[NAME_MAX + 1]; /* of the new file */
	int fd;
};

static int by_identity(const void *a, const void *b)
{
	const struct mbox_message *const *m = a, *const *n = b;
	int order = memcmp((*m)->digest, (*n)->digest, MBOX_DIGEST_SIZE);
	return order ? order : ((*m)->twin > (*n)->twin) - ((*m)->twin < (*n)->twin);
}

static void gather_marked(struct rewriting *r, const bool *marked)
{
	size_t count = r->drop->count;
	r->marked = memory_zero(count + 1, sizeof(struct mbox_message *));
	for (size_t i = 0; i < count; i++)
		if (marked[i])
			r->marked[r->marked_count++] = &r->mbox->messages[i];
	qsort(r->marked, r->marked_count, sizeof(struct mbox_message *), by_identity);
}

static bool goes(const struct rewriting *r, const struct mbox_message *one)
{
	return bsearch(&one, r->marked, r->marked_count, sizeof(struct mbox_message *),
		       by_identity) != NULL;
}

static bool copy(struct rewriting *r, uint64_t from, uint64_t to, char *chunk)
{
	while (from < to) {
		size_t want = to - from < DROP_CHUNK ? (size_t)(to - from) : DROP_CHUNK;
		if (disk_pread(r->hold.fd, chunk, want, from) != (ssize_t)want ||
		    disk_write(r->fd, chunk, want) < 0)
			return false;
		from += want;
	}
	return true;
}

/* All octets but the messages that go, each from its From line to the next one's. */
static bool copy_rest(struct rewriting *r)
{
	char *chunk = memory_get(DROP_CHUNK);
	uint64_t from = 0;
	bool good = true;
	for (size_t i = 0; good && i < r->count; i++) {
		if (!goes(r, &r->messages[i]))
			continue;
		good = copy(r, from, r->messages[i].start, chunk);
		from = i + 1 < r->count ? r->messages[i + 1].start : r->hold.size;
	}
	good = good && copy(r, from, r->hold.size, chunk);
	memory_free(chunk);
	return good;
}

/* As the old one is; where the directory gives it another group, that group gets no right. */
static bool make_file(struct rewriting *r)
{
	struct stat old, st;
	mbox_hold_as_group(&r->hold, true);
	(void)disk_unlink(r->drop->dir, r->name); /* what a session left that died */
	r->fd = disk_create(r->drop->dir, r->name, O_WRONLY, MBOX_MODE_OF_HOME);
	mbox_hold_as_group(&r->hold, false);
	if (r->fd < 0 || disk_stat(r->hold.fd, &old) < 0 || disk_stat(r->fd, &st) < 0)
		return false;
	return disk_chmod(r->fd, old.st_mode & (st.st_gid == old.st_gid ? 0777 : 0707)) == 0;
}

static bool replace(struct rewriting *r)
{
	int dir = r->drop->dir;
	bool written = make_file(r) && copy_rest(r) && disk_fsync(r->fd) == 0;
	int error = errno;
	if (r->fd >= 0 && disk_close(r->fd) < 0 && written) {
		error = errno;
		written = false;
	}
	mbox_hold_as_group(&r->hold, true);
	if (written) {
		written = disk_rename(dir, r->name, dir, r->mbox->name) == 0;
		error = errno;
	}
	if (!written)
		(void)disk_unlink(dir, r->name);
	mbox_hold_as_group(&r->hold, false);
	if (written && disk_fsync_dir(dir) < 0) {
		error = errno;
		written = false;
	}
	errno = error;
	return written;
}

/* The mailbox is held. */
static bool rewrite(struct rewriting *r, struct error *e)
{
	bool any = false;
	r->now = mbox_scan_new(SIZE_MAX);
	if (!scan_range(r->now, r->hold.fd, 0, r->hold.size, e))
		return false;
	r->messages = mbox_scan_end(r->now, &r->count);
	for (size_t i = 0; !any && i < r->count; i++)
		any = goes(r, &r->messages[i]);
	if (!any || replace(r)) /* none: another program has removed them */
		return true;
	return error_set(e, errno, "mailbox %s can't be written: %s", r->mbox->name,
			 strerror(errno));
}

static size_t remove_messages(struct drop *d, const bool *marked, struct error *e)
{
	struct mbox *m = d->messages;
	struct rewriting r = {.drop = d, .mbox = m, .hold = hold_for(d, m), .fd = -1};
	struct error trouble = {0};
	bool done = false;
	if ((size_t)snprintf(r.name, sizeof(r.name), ".%s.pop3.new", m->name) >= sizeof(r.name)) {
		error_set(e, ENAMETOOLONG, "mailbox %s has too long a name", m->name);
		return 0;
	}
	gather_marked(&r, marked);
	if (mbox_hold_take(&r.hold, &trouble)) {
		done = rewrite(&r, e);
		mbox_hold_end(&r.hold);
	} else if (trouble.code == ENOENT) {
		done = true; /* another program has removed the mailbox */
	} else {
		error_set(e, trouble.code, "mailbox %s %s", m->name, trouble.text);
	}
	mbox_scan_free(&r.now);
	memory_free(r.marked);
	return done ? r.marked_count : 0;
}

static void close_mbox(struct drop *d)
{
	struct mbox *m = d->messages;
	struct mbox_hold h = hold_for(d, m);
	if (m->session_fd >= 0) {
		mbox_hold_as_group(&h, true);
		dotlock_release(d->dir, m->session_lock, m->session_fd);
		mbox_hold_as_group(&h, false);
	}
	if (m->fd >= 0)
		disk_close(m->fd);
	mbox_scan_free(&m->scan);
	memory_free(m);
	d->messages = NULL;
}

const struct drop_kind drop_mbox = {
    .name = "mbox",
    .prepare = prepare,
    .open = open_mbox,
    .octets = octets,
    .unique = unique,
    .read = read_mbox,
    .remove = remove_messages,
    .close = close_mbox,
};
