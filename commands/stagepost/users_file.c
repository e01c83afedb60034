/*
 * The lock is on the file itself: whoever has waited for it looks whether the name still means that
 * file, since the one before may have put a new one there. Owner, group and mode stay. A table that
 * the server would refuse is not written.
 */
#include "commands/stagepost/users_file.h"

#include <bsd/stdlib.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/stagepost/words.h"
#include "common/base/error.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "common/table/reader.h"

enum {
	LOCK_TRIES = 100, /* of 50 ms: an edit takes no longer than a password's hash */
	LOCK_PAUSE_US = 50000,
	MODE_NEW = S_IRUSR | S_IWUSR,
	FRESH_NAME_MAX = 200, /* octets of the name in that of the file that takes its place ... */
	FRESH_DIGITS = 8,     /* ... and digits behind it */
};

static int failed(const struct users_file *f)
{
	int code = errno == EACCES || errno == EPERM || errno == EROFS ? EX_NOPERM
		   : errno == ENOENT || errno == EFBIG		       ? EX_DATAERR
								       : EX_TEMPFAIL;
	return complain(code, "%s: %s", f->path, strerror(errno));
}

/* Is what was opened and locked still what the name means? */
static bool is_current(const struct users_file *f)
{
	struct stat now;
	return disk_stat_at(f->directory, f->name, &now) == 0 && now.st_dev == f->st.st_dev &&
	       now.st_ino == f->st.st_ino;
}

static int open_once(struct users_file *f, enum users_use use)
{
	int flags = (use == USERS_READ ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	f->fd = disk_open(f->directory, f->name, flags, 0);
	if (f->fd < 0 && errno == ENOENT && use == USERS_MAKE)
		f->fd = disk_create(f->directory, f->name, O_RDWR, MODE_NEW);
	if (f->fd < 0 || disk_stat(f->fd, &f->st) != 0)
		return failed(f);
	if (!S_ISREG(f->st.st_mode))
		return complain(EX_DATAERR, "%s: it is no ordinary file", f->path);
	return EX_OK;
}

static int open_locked(struct users_file *f, enum users_use use)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		int code = open_once(f, use);
		if (code != EX_OK || use == USERS_READ)
			return code;
		bool busy = lock_take(f->fd, true) != 0;
		if (busy && errno != EAGAIN)
			return failed(f);
		if (!busy && is_current(f))
			return EX_OK;
		disk_close(f->fd);
		f->fd = -1;
		if (busy)
			usleep(LOCK_PAUSE_US);
	}
	return complain(EX_TEMPFAIL, "%s: somebody else is editing it; try again", f->path);
}

int users_file_open(struct users_file *f, const char *path, enum users_use use)
{
	struct error e = {0};
	int code;
	*f = (struct users_file){.path = path, .fd = -1};
	buffer_init(&f->text, TABLE_FILE_MAX);
	f->directory = landing_open(path, f->name, &e);
	if (f->directory < 0)
		return complain(e.code, "%s: %s", path, e.text);
	code = open_locked(f, use);
	if (code == EX_OK && disk_read_whole(f->fd, TABLE_FILE_MAX, &f->text) != 0)
		code = failed(f);
	if (code != EX_OK)
		users_file_close(f);
	return code;
}

void users_file_close(struct users_file *f)
{
	if (f->fd >= 0)
		disk_close(f->fd);
	if (f->directory >= 0)
		disk_close(f->directory);
	f->fd = f->directory = -1;
	buffer_free(&f->text);
}

/* Looking */

bool users_file_next(const struct users_file *f, size_t *at, struct users_line *line)
{
	struct slice text = buffer_slice(&f->text), rest = slice_from(text, *at), whole;
	while (rest.len > 0) {
		slice_split(rest, '\n', &whole, &rest);
		*at = text.len - rest.len;
		struct slice entry = slice_trim(whole);
		if (entry.len == 0 || entry.ptr[0] == '#')
			continue;
		line->at = (size_t)(entry.ptr - text.ptr);
		line->len = entry.len;
		line->whole = *at - (size_t)(whole.ptr - text.ptr);
		slice_split(entry, ':', &line->name, &entry);
		size_t end = slice_find(entry, ':');
		line->password = slice_sub(entry, 0, end);
		line->rest = slice_from(entry, end);
		return true;
	}
	return false;
}

bool users_file_find(const struct users_file *f, struct slice key, struct users_line *line)
{
	struct buffer found;
	bool same = false;
	buffer_init(&found, TABLE_LINE_MAX);
	for (size_t at = 0; !same && users_file_next(f, &at, line);) {
		buffer_reset(&found);
		same = !reader_key(line->name, false, &found) &&
		       slice_equal(buffer_slice(&found), key);
	}
	buffer_free(&found);
	return same;
}

/* Changing */

/* What lies from `at` to `to` becomes these two. */
static void replace(struct users_file *f, size_t at, size_t to, struct slice first,
		    struct slice second)
{
	struct buffer changed;
	struct slice old = buffer_slice(&f->text);
	buffer_init(&changed, SIZE_MAX);
	buffer_append(&changed, slice_sub(old, 0, at));
	buffer_append(&changed, first);
	buffer_append(&changed, second);
	buffer_append(&changed, slice_from(old, to));
	buffer_free(&f->text);
	f->text = changed;
}

void users_file_set(struct users_file *f, const struct users_line *line, struct slice entry)
{
	replace(f, line->at + line->name.len, line->at + line->len - line->rest.len, SLICE(":"),
		entry);
}

void users_file_add(struct users_file *f, struct slice name, struct slice entry)
{
	struct slice text = buffer_slice(&f->text);
	if (text.len > 0 && text.ptr[text.len - 1] != '\n')
		buffer_byte(&f->text, '\n');
	buffer_append(&f->text, name);
	buffer_byte(&f->text, ':');
	buffer_append(&f->text, entry);
	buffer_byte(&f->text, '\n');
}

void users_file_remove(struct users_file *f, const struct users_line *line)
{
	size_t begin = line->at;
	while (begin > 0 && buffer_slice(&f->text).ptr[begin - 1] != '\n')
		begin--;
	replace(f, begin, begin + line->whole, SLICE_EMPTY, SLICE_EMPTY);
}

/* Writing */

static void print_line(void *arg, bool warning, const char *text)
{
	(void)arg;
	words_print(stderr, slice_str(text));
	fputs(warning ? " (warning)\n" : "\n", stderr);
}

static int check(const struct users_file *f)
{
	char spec[TABLE_SPEC_MAX + 8];
	struct table *t = NULL;
	struct error e = {0};
	int code = EX_OK;
	snprintf(spec, sizeof(spec), "file:%s", f->path);
	if (f->text.len > TABLE_FILE_MAX)
		code = complain(EX_DATAERR, "%s: it would be too large", f->path);
	else if (!table_open(spec, TABLE_USERS, &t, &e))
		code = complain(EX_DATAERR, "%s", e.text);
	else if (!table_load_text(t, buffer_slice(&f->text), print_line, NULL, &e))
		code = complain(EX_DATAERR, "%s is bad; nothing was changed", f->path);
	table_free(&t);
	return code;
}

/* Passwords of everybody: nobody reads the new one before it belongs to whom the old one did. */
static bool take_owner(const struct users_file *f, int fd)
{
	struct stat own;
	if (disk_stat(fd, &own) != 0)
		return false;
	if ((own.st_uid != f->st.st_uid || own.st_gid != f->st.st_gid) &&
	    disk_chown(fd, f->st.st_uid, f->st.st_gid) != 0)
		return false;
	return disk_chmod(fd, f->st.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO)) == 0;
}

/* Is it ".NAME.XXXXXXXX", what an edit writes before it takes the name? */
static bool is_fresh(const struct users_file *f, struct slice entry)
{
	struct slice name = slice_sub(slice_str(f->name), 0, FRESH_NAME_MAX), digits;
	if (!slice_starts(entry, SLICE(".")) || !slice_starts(slice_from(entry, 1), name))
		return false;
	digits = slice_from(entry, 1 + name.len);
	if (digits.len != FRESH_DIGITS + 1 || digits.ptr[0] != '.')
		return false;
	for (size_t i = 1; i < digits.len; i++)
		if (!strchr("0123456789abcdef", digits.ptr[i]))
			return false;
	return true;
}

static bool remove_left(void *arg, const char *name, unsigned char type)
{
	const struct users_file *f = arg;
	if ((type == DT_REG || type == DT_UNKNOWN) && is_fresh(f, slice_str(name)))
		(void)disk_unlink(f->directory, name); /* it is only untidy */
	return true;
}

int users_file_write(struct users_file *f)
{
	char fresh[LANDING_NAME_SIZE + 16];
	struct slice text = buffer_slice(&f->text);
	int code = check(f), fd;
	if (code != EX_OK)
		return code;
	/* We have the lock, so whoever left such a file has died, and it has everybody's hashes. */
	(void)disk_list(f->directory, remove_left, f);
	snprintf(fresh, sizeof(fresh), ".%.*s.%08x", FRESH_NAME_MAX, f->name, arc4random());
	fd = disk_create(f->directory, fresh, O_WRONLY, MODE_NEW);
	if (fd < 0)
		return failed(f);
	if ((text.len > 0 && disk_write(fd, text.ptr, text.len) != 0) || !take_owner(f, fd) ||
	    disk_fsync(fd) != 0 || disk_rename(f->directory, fresh, f->directory, f->name) != 0) {
		code = failed(f);
		disk_unlink(f->directory, fresh);
	} else if (disk_fsync_dir(f->directory) != 0) {
		code = failed(f);
	}
	disk_close(fd);
	return code;
}
