/*
 * A Maildir. Its lock is the kernel's, on a file that stays: it keeps other sessions out, and
 * neither deliveries nor other programs, which move a message from new/ to cur/ and change what
 * stands behind the ':' of its name. So a name that is not there any more is looked for once again
 * by the part that stays.
 *
 * A symbolic link, or whatever is no regular file of ours, is no message. Other names of a file
 * (hard links) are: programs make them to copy between folders.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sha2.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "common/mailbox/maildir_name.h"
#include "common/mailbox/octets.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "daemons/maildrop/drop.h"

#define LOCK_NAME "stagepost-pop3.lock"

enum { NAMES_MEMORY_MAX = 256 * 1024 * 1024, MESSAGES_FIRST = 256, FOLDERS = 2 };

/* In the order in which they are listed: what moves meanwhile moves from new/ to cur/, and so shows
 * once at least. */
static const char *const folders[FOLDERS] = {"new", "cur"};

struct message {
	struct maildir_name name; /* points into whole */
	struct slice whole;	  /* the file's name, NUL-terminated; in the arena */
	uint64_t octets;
	uint8_t folder;
	bool sized;
	bool gone; /* removed */
};

struct maildir {
	struct message *messages;
	size_t count, size;
	struct arena names;
	int folders[FOLDERS];
	int lock;
	/* the file that was read last */
	size_t open; /* index; count: none */
	int fd;
};

static bool prepare(struct drop *d, int base, const char *path, struct error *e)
{
	d->dir = disk_open_beneath(base, path, O_RDONLY | O_DIRECTORY);
	if (d->dir >= 0 || errno == ENOENT)
		return true;
	return error_set(e, errno, "mailbox %s can't be opened: %s", path, strerror(errno));
}

static bool is_ours(int fd)
{
	struct stat st;
	if (disk_stat(fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid())
		return true;
	errno = EPERM;
	return false;
}

/* Only a regular file, and never waiting for one that is a FIFO. */
static int open_file(int dir, const char *name, int flags, mode_t mode)
{
	int fd = disk_open(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
	if (fd < 0 || is_ours(fd))
		return fd;
	int error = errno;
	disk_close(fd);
	errno = error;
	return -1;
}

static enum maildrop_standing take_lock(struct drop *d, struct maildir *m, struct error *e)
{
	unsigned tries = 0;
	m->lock = open_file(d->dir, LOCK_NAME, O_RDWR | O_CREAT, 0600);
	while (m->lock < 0 || lock_take(m->lock, true) < 0) {
		if (m->lock < 0 || errno != EAGAIN) {
			error_set(e, errno, "%s: %s", LOCK_NAME, strerror(errno));
			return MAILDROP_TROUBLE;
		}
		if (!drop_wait(&tries)) {
			error_set(e, EAGAIN, "another session has it");
			return MAILDROP_LOCKED;
		}
	}
	return MAILDROP_READY;
}

/* Listing */

struct listing {
	struct drop *drop;
	struct maildir *maildir;
	unsigned folder;
	bool full;
};

static struct message *add(struct maildir *m)
{
	if (m->count == m->size) {
		m->size = m->size ? 2 * m->size : MESSAGES_FIRST;
		m->messages = memory_resize(m->messages, m->size, sizeof(*m->messages));
	}
	return &m->messages[m->count++];
}

/* Some file systems do not say what an entry is. */
static bool is_file(int dir, const char *name, unsigned char type)
{
	struct stat st;
	if (type != DT_UNKNOWN)
		return type == DT_REG;
	return disk_stat_at(dir, name, &st) == 0 && S_ISREG(st.st_mode);
}

static bool list_one(void *arg, const char *name, unsigned char type)
{
	struct listing *l = arg;
	struct maildir *m = l->maildir;
	if (name[0] == '.')
		return true;
	if (!is_file(m->folders[l->folder], name, type)) {
		l->drop->skipped++;
		return true;
	}
	struct slice whole = arena_copy(&m->names, slice_str(name));
	l->full = !whole.ptr || m->count == MAILDROP_MESSAGES_MAX;
	if (l->full)
		return false;
	struct message *one = add(m);
	*one = (struct message){.whole = whole, .folder = (uint8_t)l->folder};
	maildir_name_read(whole, &one->name);
	one->sized = one->name.sized;
	one->octets = one->name.octets;
	return true;
}

static bool list(struct drop *d, struct maildir *m, struct error *e)
{
	struct listing l = {.drop = d, .maildir = m};
	for (; l.folder < FOLDERS; l.folder++) {
		int *fd = &m->folders[l.folder];
		if (*fd < 0)
			*fd = disk_open_beneath(d->dir, folders[l.folder], O_RDONLY | O_DIRECTORY);
		if (*fd < 0 && errno == ENOENT)
			continue;
		if (*fd < 0 || disk_list(*fd, list_one, &l) < 0)
			return error_set(e, errno, "%s can't be listed: %s", folders[l.folder],
					 strerror(errno));
		if (l.full) { /* those that were seen can be fetched, and make room */
			d->skipped++;
			return true;
		}
	}
	return true;
}

static int by_arrival(const void *a, const void *b)
{
	const struct message *x = a, *y = b;
	int order = maildir_name_compare(&x->name, &y->name);
	return order ? order : x->folder - y->folder;
}

/* One that moved while we looked was seen twice: where it is now is where it was seen last. */
static void drop_doubles(struct maildir *m)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (kept > 0 &&
		    maildir_name_compare(&m->messages[kept - 1].name, &m->messages[i].name) == 0)
			kept--;
		m->messages[kept++] = m->messages[i];
	}
	m->count = kept;
}

/* False: it can't be read, and is not shown. */
static bool measure(struct maildir *m, struct message *one, char *chunk)
{
	struct octets_count count = {0};
	int fd = open_file(m->folders[one->folder], one->whole.ptr, O_RDONLY, 0);
	uint64_t at = 0;
	ssize_t n = -1;
	if (fd < 0)
		return false;
	while ((n = disk_pread(fd, chunk, DROP_CHUNK, at)) > 0) {
		octets_add(&count, slice_make(chunk, (size_t)n));
		at += (uint64_t)n;
		if (n < DROP_CHUNK)
			break;
	}
	disk_close(fd);
	one->octets = octets_end(&count);
	one->sized = true;
	return n >= 0;
}

static void measure_all(struct drop *d, struct maildir *m)
{
	char *chunk = memory_get(DROP_CHUNK);
	size_t kept = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (!m->messages[i].sized && !measure(m, &m->messages[i], chunk)) {
			d->skipped++;
			continue;
		}
		m->messages[kept++] = m->messages[i];
	}
	m->count = kept;
	memory_free(chunk);
}

static enum maildrop_standing open_maildir(struct drop *d, struct error *e)
{
	struct maildir *m = memory_zero(1, sizeof(*m));
	enum maildrop_standing standing;
	d->messages = m;
	arena_init(&m->names, NAMES_MEMORY_MAX);
	m->fd = m->lock = m->folders[0] = m->folders[1] = -1;
	if (d->dir < 0)
		return MAILDROP_READY;
	standing = take_lock(d, m, e);
	if (standing != MAILDROP_READY)
		return standing;
	if (!list(d, m, e))
		return MAILDROP_TROUBLE;
	if (m->count > 0)
		qsort(m->messages, m->count, sizeof(*m->messages), by_arrival);
	drop_doubles(m);
	measure_all(d, m);
	m->open = d->count = m->count;
	return MAILDROP_READY;
}

/* Messages */

static uint64_t octets(const struct drop *d, size_t index)
{
	const struct maildir *m = d->messages;
	return m->messages[index].octets;
}

/* May it be said as it is (RFC 1939 7), and does no neighbour say the same? */
static bool is_plain(const struct maildir *m, size_t index)
{
	struct slice s = m->messages[index].name.unique;
	if (s.len == 0 || s.len > MAILDROP_UIDL_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e)
			return false;
	return !(index > 0 && slice_equal(s, m->messages[index - 1].name.unique)) &&
	       !(index + 1 < m->count && slice_equal(s, m->messages[index + 1].name.unique));
}

static size_t unique(const struct drop *d, size_t index, char uid[MAILDROP_UIDL_MAX])
{
	const struct maildir *m = d->messages;
	const struct maildir_name *name = &m->messages[index].name;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX c;
	if (is_plain(m, index)) {
		memcpy(uid, name->unique.ptr, name->unique.len);
		return name->unique.len;
	}
	SHA256Init(&c);
	SHA256Update(&c, (const uint8_t *)name->base.ptr, name->base.len);
	SHA256Final(digest, &c);
	return drop_unique(digest, 0, uid);
}

static int compare_base(const void *key, const void *item)
{
	const struct message *a = key, *b = item;
	return maildir_name_compare(&a->name, &b->name);
}

/* Takes the names that the messages have now. */
static void look_again(struct drop *d, struct maildir *m)
{
	struct maildir now = {.lock = -1, .fd = -1};
	struct drop aside = *d;
	struct error e;
	arena_init(&now.names, NAMES_MEMORY_MAX);
	memcpy(now.folders, m->folders, sizeof(now.folders));
	bool listed = list(&aside, &now, &e);
	memcpy(m->folders, now.folders, sizeof(now.folders));
	for (size_t i = 0; listed && i < now.count; i++) {
		struct message *found = bsearch(&now.messages[i], m->messages, m->count,
						sizeof(*m->messages), compare_base);
		if (!found || slice_equal(found->whole, now.messages[i].whole)) {
			if (found)
				found->folder = now.messages[i].folder;
			continue;
		}
		struct slice whole = arena_copy(&m->names, now.messages[i].whole);
		if (!whole.ptr)
			break;
		found->whole = whole;
		found->folder = now.messages[i].folder;
		maildir_name_read(whole, &found->name);
	}
	memory_free(now.messages);
	arena_free(&now.names);
}

static int open_message(struct drop *d, struct maildir *m, size_t index)
{
	for (int tries = 0;; tries++) {
		const struct message *one = &m->messages[index];
		int fd = open_file(m->folders[one->folder], one->whole.ptr, O_RDONLY, 0);
		if (fd >= 0 || errno != ENOENT || tries > 0)
			return fd;
		look_again(d, m);
	}
}

static ssize_t read_maildir(struct drop *d, size_t index, uint64_t from, char *out, size_t size,
			    bool *last)
{
	struct maildir *m = d->messages;
	if (m->open != index && m->fd >= 0) {
		disk_close(m->fd);
		m->fd = -1;
	}
	if (m->fd < 0)
		m->fd = open_message(d, m, index);
	m->open = index;
	if (m->fd < 0)
		return -1;
	ssize_t n = disk_pread(m->fd, out, size, from);
	*last = n >= 0 && (size_t)n < size;
	return n;
}

/* What is not there any more, under any name, another has removed: it is gone as well. Returns how
 * many have gone; *moved: some are not where they were. */
static size_t unlink_marked(struct maildir *m, const bool *marked, bool again, bool *moved,
			    struct error *e)
{
	size_t gone = 0;
	*moved = false;
	for (size_t i = 0; i < m->count; i++) {
		struct message *one = &m->messages[i];
		if (!marked[i] || one->gone)
			continue;
		one->gone = disk_unlink(m->folders[one->folder], one->whole.ptr) == 0 ||
			    (errno == ENOENT && again);
		gone += one->gone;
		if (!one->gone && errno == ENOENT)
			*moved = true;
		else if (!one->gone)
			error_set(e, errno, "a message can't be removed: %s", strerror(errno));
	}
	return gone;
}

static size_t remove_messages(struct drop *d, const bool *marked, struct error *e)
{
	struct maildir *m = d->messages;
	bool moved;
	size_t gone = unlink_marked(m, marked, false, &moved, e);
	if (moved) {
		look_again(d, m);
		gone += unlink_marked(m, marked, true, &moved, e);
	}
	for (int i = 0; i < FOLDERS; i++) {
		if (m->folders[i] < 0 || disk_fsync_dir(m->folders[i]) == 0)
			continue;
		error_set(e, errno, "%s can't be synced: %s", folders[i], strerror(errno));
		return 0; /* nobody knows which */
	}
	return gone;
}

static void close_maildir(struct drop *d)
{
	struct maildir *m = d->messages;
	if (m->fd >= 0)
		disk_close(m->fd);
	for (int i = 0; i < FOLDERS; i++)
		if (m->folders[i] >= 0)
			disk_close(m->folders[i]);
	if (m->lock >= 0)
		disk_close(m->lock);
	memory_free(m->messages);
	arena_free(&m->names);
	memory_free(m);
	d->messages = NULL;
}

const struct drop_kind drop_maildir = {
    .name = "maildir",
    .prepare = prepare,
    .open = open_maildir,
    .octets = octets,
    .unique = unique,
    .read = read_maildir,
    .remove = remove_messages,
    .close = close_maildir,
};
