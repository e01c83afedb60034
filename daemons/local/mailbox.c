/*
 * A table by path with the last used in front. Its mutex is held for a few instructions only; to
 * open a mailbox, and to make it, is done under a mutex of its own, so that two deliveries to one
 * new mailbox don't make it twice, and others don't wait.
 *
 * The way to a mailbox is walked by the kernel, which lets no link lead out of the base directory.
 * What was made is durable before anything is put into it.
 */
#include "daemons/local/mailbox.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/mail/mailbox_path.h"

enum {
	DISKS_MAX = 16,
	DIRECTORY_MODE = 0700,
	YOUNG_SECONDS = 120, /* after which the kernel has written what was never synced */
	KEY_SIZE = MAILBOX_PATH_SIZE + 16,
	SUB_SIZE = MAILBOX_PATH_SIZE + 8
};

static const char *const parts[] = {"tmp", "new", "cur"};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

TAILQ_HEAD(mailbox_list, mailbox);

struct mailboxes {
	pthread_mutex_t mutex; /* guards all here, and users and listed of each */
	struct map *by_path;
	struct mailbox_list used; /* the listed ones, last used first */
	struct mailbox_disk disks[DISKS_MAX];
	size_t disk_count;
};

struct mailboxes *mailboxes_new(void)
{
	struct mailboxes *all = memory_zero(1, sizeof(*all));
	pthread_mutex_init(&all->mutex, NULL);
	all->by_path = map_new();
	TAILQ_INIT(&all->used);
	return all;
}

static int open_directory(int base, const char *path)
{
	return disk_open_beneath(base, path, O_RDONLY | O_DIRECTORY);
}

/* What could not be made durable is taken back: when it is made again, that is a change that a sync
 * covers, while what a failed sync has covered is lost to the next one. */
static bool take_back(int parent, const char *name)
{
	int error = errno;
	(void)disk_rmdir(parent, name);
	errno = error;
	return false;
}

/* Makes one directory and its entry durable. It may be there already: made a moment ago by another
 * delivery, perhaps not durable yet. */
static bool make_directory(int parent, const char *name)
{
	bool made = disk_mkdir(parent, name, DIRECTORY_MODE) == 0;
	if (!made && errno != EEXIST)
		return false;
	if (disk_fsync_dir(parent) == 0)
		return true;
	return made ? take_back(parent, name) : false;
}

static bool close_after(int fd, bool good)
{
	int error = errno;
	disk_close(fd);
	errno = error;
	return good;
}

static bool make_path(int base, const char *path)
{
	char parent[MAILBOX_PATH_SIZE] = ".", part[NAME_MAX + 1];
	struct slice rest = slice_str(path), name;
	bool more;
	do {
		size_t end = (size_t)(rest.ptr - path);
		int fd;
		if (end > 0 && !slice_copy(slice_make(path, end - 1), parent, sizeof(parent)))
			return false;
		more = slice_split(rest, '/', &name, &rest);
		if (!slice_copy(name, part, sizeof(part)))
			return false;
		fd = open_directory(base, parent);
		if (fd < 0 || !close_after(fd, make_directory(fd, part)))
			return false;
	} while (more);
	return true;
}

/* A mailbox that was made or changed just now may be the work of a process that died before it had
 * synced it: then all of it is synced again, once. What was synced here need not be. */
static bool is_doubtful(struct mailbox *box, int dir, uint64_t known)
{
	struct stat st;
	int64_t now = (int64_t)(clock_wall_us() / CLOCK_SECOND);
	if (disk_stat(dir, &st) < 0)
		return true;
	box->inode = st.st_ino;
	return st.st_ino != known && st.st_mtime > now - YOUNG_SECONDS;
}

/* Opens box/name; *made when it was missing. */
static int open_part(int base, int dir, const char *path, const char *name, bool *made)
{
	char sub[SUB_SIZE];
	int fd;
	snprintf(sub, sizeof(sub), "%s/%s", path, name);
	fd = open_directory(base, sub);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	*made = true;
	if (disk_mkdir(dir, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -1;
	return open_directory(base, sub);
}

static bool open_parts(struct mailbox *box, int base, int dir, const char *path, bool doubtful)
{
	bool made[PARTS] = {false};
	int cur;
	box->tmp = open_part(base, dir, path, parts[0], &made[0]);
	box->new = box->tmp < 0 ? -1 : open_part(base, dir, path, parts[1], &made[1]);
	cur = box->new < 0 ? -1 : open_part(base, dir, path, parts[2], &made[2]);
	if (cur < 0)
		return false;
	disk_close(cur);
	if ((!doubtful && !made[0] && !made[1] && !made[2]) || disk_fsync_dir(dir) == 0)
		return true;
	for (size_t i = 0; i < PARTS; i++)
		if (made[i])
			take_back(dir, parts[i]);
	return false;
}

static void close_parts(struct mailbox *box)
{
	int error = errno;
	if (box->tmp >= 0)
		disk_close(box->tmp);
	if (box->new >= 0)
		disk_close(box->new);
	box->tmp = box->new = -1;
	errno = error;
}

/* What is known of that device; NULL: nothing. */
static const struct mailbox_disk *known_disk(struct mailboxes *all, uint64_t device)
{
	const struct mailbox_disk *found = NULL;
	pthread_mutex_lock(&all->mutex);
	for (size_t i = 0; !found && i < all->disk_count; i++)
		if (all->disks[i].device == device)
			found = &all->disks[i];
	pthread_mutex_unlock(&all->mutex);
	return found;
}

static const struct mailbox_disk *add_disk(struct mailboxes *all, const struct mailbox_disk *disk)
{
	static const struct mailbox_disk any = {0}; /* files there are synced one by one */
	const struct mailbox_disk *added = &any;
	pthread_mutex_lock(&all->mutex);
	if (all->disk_count < DISKS_MAX) { /* it may be there twice */
		all->disks[all->disk_count] = *disk;
		added = &all->disks[all->disk_count++];
	}
	pthread_mutex_unlock(&all->mutex);
	return added;
}

/* tmp/ and new/ on two file systems: no message can be moved, and none of this matters. */
static bool look_at_disk(struct mailboxes *all, struct mailbox *box)
{
	struct stat st;
	if (disk_stat(box->new, &st) < 0)
		return false;
	box->disk = known_disk(all, st.st_dev);
	if (box->disk)
		return true;
	struct mailbox_disk fresh = {.device = st.st_dev,
				     .sync_tells = disk_sync_all_tells(box->new)};
	fresh.unnamed = fresh.sync_tells && disk_unnamed_works(box->new);
	box->disk = add_disk(all, &fresh);
	return true;
}

static bool mailbox_open(struct mailboxes *all, struct mailbox *box, int base, const char *path,
			 uint64_t known)
{
	int dir = open_directory(base, path);
	bool made = dir < 0 && errno == ENOENT;
	if (made && make_path(base, path))
		dir = open_directory(base, path);
	if (dir < 0)
		return false;
	bool doubtful = is_doubtful(box, dir, known);
	if (doubtful && !made && !make_path(base, path))
		return close_after(dir, false);
	if (close_after(dir, open_parts(box, base, dir, path, doubtful) && look_at_disk(all, box)))
		return true;
	close_parts(box);
	return false;
}

static void mailbox_free(struct mailbox *box)
{
	close_parts(box);
	pthread_mutex_destroy(&box->opening);
	memory_free(box->key);
	memory_free(box);
}

/* From here on all is under the table's mutex. */

static struct slice mailbox_key(const struct mailbox *box)
{
	return slice_make(box->key, box->key_len);
}

static struct mailbox *add(struct mailboxes *all, struct slice key)
{
	struct mailbox *box = memory_zero(1, sizeof(*box));
	box->key = memory_string(key);
	box->key_len = key.len;
	box->tmp = box->new = -1;
	pthread_mutex_init(&box->opening, NULL);
	box->since = clock_boot_us();
	box->listed = true;
	map_put(all->by_path, mailbox_key(box), box);
	TAILQ_INSERT_HEAD(&all->used, box, link);
	return box;
}

static void unlist(struct mailboxes *all, struct mailbox *box)
{
	if (!box->listed)
		return;
	box->listed = false;
	map_remove(all->by_path, mailbox_key(box));
	TAILQ_REMOVE(&all->used, box, link);
}

/* Takes off the list what was not used for longest, as long as there are too many. */
static void make_room(struct mailboxes *all, struct mailbox_list *out)
{
	struct mailbox *box = TAILQ_LAST(&all->used, mailbox_list), *before;
	for (; box && map_count(all->by_path) > MAILBOXES_MAX; box = before) {
		before = TAILQ_PREV(box, mailbox_list, link);
		if (box->users > 0)
			continue;
		unlist(all, box);
		TAILQ_INSERT_TAIL(out, box, link);
	}
}

static struct mailbox *find(struct mailboxes *all, struct slice key, struct mailbox_list *out)
{
	struct mailbox *box = map_get(all->by_path, key);
	uint64_t known = 0;
	if (box && clock_boot_us() - box->since > MAILBOX_FRESH_US) {
		known = box->known;
		unlist(all, box);
		if (box->users == 0)
			TAILQ_INSERT_TAIL(out, box, link);
		box = NULL;
	}
	if (box) {
		TAILQ_REMOVE(&all->used, box, link);
		TAILQ_INSERT_HEAD(&all->used, box, link);
	} else {
		box = add(all, key);
		box->known = known;
	}
	box->users++;
	make_room(all, out);
	return box;
}

/* To here. */

static void free_all(struct mailbox_list *out)
{
	struct mailbox *box;
	while ((box = TAILQ_FIRST(out))) {
		TAILQ_REMOVE(out, box, link);
		mailbox_free(box);
	}
}

struct mailbox *mailboxes_get(struct mailboxes *all, int base, const char *path, struct outcome *o)
{
	struct mailbox_list out = TAILQ_HEAD_INITIALIZER(out);
	struct mailbox *box;
	char key[KEY_SIZE];
	int len = snprintf(key, sizeof(key), "%d:%s", base, path), error;
	uint64_t known, inode;
	pthread_mutex_lock(&all->mutex);
	box = find(all, slice_make(key, (size_t)len), &out);
	known = box->known;
	pthread_mutex_unlock(&all->mutex);
	free_all(&out);

	pthread_mutex_lock(&box->opening);
	if (!box->opened)
		box->opened = mailbox_open(all, box, base, path, known);
	error = box->opened ? 0 : errno;
	inode = box->inode;
	pthread_mutex_unlock(&box->opening);
	if (!error && inode != known) {
		pthread_mutex_lock(&all->mutex);
		box->known = inode;
		pthread_mutex_unlock(&all->mutex);
	}
	if (!error)
		return box;
	mailboxes_put(all, box);
	if (error == ENOENT) /* even after it was made */
		outcome_set(o, 451, "4.2.1", true,
			    "mailbox %s: the mail directory, or what a link names, is not there",
			    path);
	else
		outcome_error(o, error, "mailbox %s can't be opened", path);
	return NULL;
}

void mailboxes_put(struct mailboxes *all, struct mailbox *box)
{
	bool last;
	pthread_mutex_lock(&all->mutex);
	box->users--;
	if (box->users == 0 && !box->opened)
		unlist(all, box);
	last = box->users == 0 && !box->listed;
	pthread_mutex_unlock(&all->mutex);
	if (last)
		mailbox_free(box);
}

void mailboxes_forget(struct mailboxes *all, struct mailbox *box)
{
	pthread_mutex_lock(&all->mutex);
	unlist(all, box);
	pthread_mutex_unlock(&all->mutex);
}

void mailboxes_free(struct mailboxes **all)
{
	struct mailboxes *m = *all;
	if (!m)
		return;
	free_all(&m->used);
	map_free(&m->by_path);
	pthread_mutex_destroy(&m->mutex);
	memory_free(m);
	*all = NULL;
}
