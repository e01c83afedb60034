/*
 * blocked: the users whom an administrator has blocked: a file with one a line, that is replaced
 * whole and synced before the administrator is told. A block that can't be written holds all the
 * same as long as this process lives, and the administrator is told that, too; it is written as
 * soon as that can be.
 */
#include <errno.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "daemons/usage/usage.h"

enum { FILE_MAX = BLOCKED_MAX * (USAGE_USER_MAX + 1) };

struct blocked {
	size_t len;
	char name[];
};

static const char file_name[] = "blocked", file_new[] = "blocked.new";
static int directory = -1;
static struct map *users;
static bool unsaved; /* the file is not as the map is */

static bool name_right(struct slice user)
{
	for (size_t i = 0; i < user.len; i++)
		if ((unsigned char)user.ptr[i] < ' ' || user.ptr[i] == 0x7f)
			return false;
	return user.len > 0 && user.len <= USAGE_USER_MAX;
}

static void put(struct slice user)
{
	struct blocked *b = memory_get(sizeof(*b) + user.len);
	b->len = user.len;
	memcpy(b->name, user.ptr, user.len);
	memory_free(map_put(users, slice_make(b->name, b->len), b));
}

bool blocked_is(struct slice user)
{
	return users && map_get(users, user);
}

size_t blocked_count(void)
{
	return users ? map_count(users) : 0;
}

struct slice blocked_next(size_t *at)
{
	struct slice name;
	void *value;
	return users && map_next(users, at, &name, &value) ? name : SLICE_EMPTY;
}

bool blocked_open(int dirfd, struct error *e)
{
	struct buffer b;
	struct slice rest, line;
	directory = dirfd;
	users = map_new();
	int fd = disk_open(dirfd, file_name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return errno == ENOENT || error_set(e, errno, "%s: %s", file_name, strerror(errno));
	buffer_init(&b, FILE_MAX);
	bool good = disk_read_whole(fd, FILE_MAX, &b) == 0 ||
		    error_set(e, errno, "%s: %s", file_name, strerror(errno));
	disk_close(fd);
	for (rest = buffer_slice(&b); good && rest.len > 0;) {
		slice_split(rest, '\n', &line, &rest);
		if (name_right(line))
			put(line);
		else
			good = error_set(e, EBADMSG, "%s: a line is no user's name", file_name);
	}
	buffer_free(&b);
	return good;
}

static bool write_file(int fd)
{
	struct buffer b;
	struct slice name;
	bool good = true;
	buffer_init(&b, FILE_MAX);
	for (size_t at = 0; (name = blocked_next(&at)).len > 0;)
		good = good && buffer_append(&b, name) && buffer_byte(&b, '\n');
	good = good && disk_write(fd, b.data + b.start, b.len) == 0 && disk_fsync(fd) == 0;
	buffer_free(&b);
	return good;
}

static bool save(struct error *e)
{
	int fd = disk_open(directory, file_new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write_file(fd);
	int err = errno;
	if (fd >= 0)
		disk_close(fd);
	if (good) {
		good = disk_rename(directory, file_new, directory, file_name) == 0 &&
		       disk_fsync_dir(directory) == 0;
		err = errno;
	}
	return good || error_set(e, err, "%s: %s", file_name, strerror(err));
}

bool blocked_save(struct error *e)
{
	unsaved = unsaved && !save(e);
	return !unsaved;
}

enum blocked_result blocked_set(struct slice user, bool blocked, struct error *e)
{
	if (!name_right(user)) {
		error_set(e, EINVAL, "that can't be a user");
		return BLOCKED_REFUSED;
	}
	if (blocked_is(user) == blocked && !unsaved)
		return BLOCKED_SO_ALREADY;
	if (blocked && !blocked_is(user) && blocked_count() == BLOCKED_MAX) {
		error_set(e, ENOSPC, "%d users are blocked; no more can be", BLOCKED_MAX);
		return BLOCKED_REFUSED;
	}
	if (blocked)
		put(user);
	else
		memory_free(map_remove(users, user));
	unsaved = !save(e);
	return unsaved ? BLOCKED_NOT_WRITTEN : BLOCKED_DONE;
}

void blocked_free(void)
{
	struct slice name;
	void *value;
	for (size_t at = 0; users && map_next(users, &at, &name, &value);)
		memory_free(map_remove(users, name));
	map_free(&users);
	directory = -1;
	unsaved = false;
}
