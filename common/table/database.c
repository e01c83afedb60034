/*
 * database: Berkeley DB, without an environment on the disk, without locks and without mapped
 * files. Its calls to the system go to os/disk; while a file is opened, every name that it opens is
 * the descriptor that was given. Each open file has a private environment of its own: when Berkeley
 * DB finds a page spoiled it gives the whole environment up.
 */
#include "common/table/database.h"

#include <db.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/table/page.h"

/* No key of a table begins with NUL. */
static const struct slice MARKER_KEY = {"\0stagepost", 10};
enum { MARKER_MAX = 64 };

struct database {
	unsigned holders;
	DB_ENV *env;
	DB *db;
	uint64_t count;
	bool broken;	 /* a page could not be read */
	char fault[200]; /* what Berkeley DB said last */
};

/* The system, as Berkeley DB sees it */

static int given = -1; /* what is to be opened, whatever its name */

/* Berkeley DB wants errors of some hooks as errno, of others as the value: here as both. */
static int outcome(int result)
{
	return result == 0 ? 0 : errno;
}

static int hook_open(const char *name, int flags, ...)
{
	if (given >= 0) {
		/* the first page is read from the file's position, which all copies share */
		return lseek(given, 0, SEEK_SET) == 0 ? fcntl(given, F_DUPFD_CLOEXEC, 0) : -1;
	}
	int fd = -1;
	errno = ENOENT;
	if (!(flags & O_EXCL))
		fd = disk_open(AT_FDCWD, name, (flags & ~O_CREAT) | O_NOFOLLOW, 0);
	if (fd < 0 && errno == ENOENT && (flags & O_CREAT))
		fd = disk_create(AT_FDCWD, name, flags & O_ACCMODE, S_IRUSR | S_IWUSR);
	return fd;
}

static int hook_exists(const char *name, int *is_directory)
{
	struct stat st = {0};
	if (given < 0 && disk_stat_at(AT_FDCWD, name, &st) != 0)
		return outcome(-1);
	if (is_directory)
		*is_directory = S_ISDIR(st.st_mode);
	return 0;
}

static int hook_close(int fd)
{
	return outcome(disk_close(fd));
}

static int hook_fsync(int fd)
{
	return outcome(disk_fsync(fd));
}

static int hook_ioinfo(const char *name, int fd, u_int32_t *mega, u_int32_t *octets,
		       u_int32_t *block)
{
	struct stat st;
	(void)name;
	if (disk_stat(fd, &st) != 0)
		return outcome(-1);
	if (mega)
		*mega = (u_int32_t)(st.st_size / (1024 * 1024));
	if (octets)
		*octets = (u_int32_t)(st.st_size % (1024 * 1024));
	if (block)
		*block = DATABASE_PAGE;
	return 0;
}

static bool page_refused; /* in the call that is under way */

static ssize_t hook_pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t n = disk_pread(fd, data, len, (uint64_t)offset);
	page_refused = false;
	if (n != (ssize_t)len || page_is_in_place(data, len, (uint64_t)offset))
		return n;
	page_refused = true;
	errno = EIO;
	return -1;
}

/* What could not be read at its place Berkeley DB tries again by the file's position. */
static int hook_seek(int fd, off_t offset, int whence)
{
	if (page_refused)
		errno = EIO;
	return page_refused ? outcome(-1) : outcome(lseek(fd, offset, whence) < 0 ? -1 : 0);
}

static ssize_t hook_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return disk_pwrite(fd, data, len, (uint64_t)offset) == 0 ? (ssize_t)len : -1;
}

static int hook_rename(const char *from, const char *to)
{
	return outcome(disk_rename(AT_FDCWD, from, AT_FDCWD, to));
}

static int hook_unlink(const char *name)
{
	return outcome(disk_unlink(AT_FDCWD, name));
}

static void set_hooks(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	db_env_set_func_open(hook_open);
	db_env_set_func_exists(hook_exists);
	db_env_set_func_close(hook_close);
	db_env_set_func_fsync(hook_fsync);
	db_env_set_func_ioinfo(hook_ioinfo);
	db_env_set_func_pread(hook_pread);
	db_env_set_func_pwrite(hook_pwrite);
	db_env_set_func_seek(hook_seek);
	db_env_set_func_rename(hook_rename);
	db_env_set_func_unlink(hook_unlink);
}

static void note_fault(const DB_ENV *env, const char *prefix, const char *text)
{
	struct database *d = env->app_private;
	(void)prefix;
	slice_copy(slice_sub(slice_str(text), 0, sizeof(d->fault) - 1), d->fault, sizeof(d->fault));
}

/* An open environment and a handle that is not; 0 or an error of Berkeley DB. */
static int open_private(struct database *d, uint64_t cache)
{
	set_hooks();
	int r = db_env_create(&d->env, 0);
	if (r != 0)
		return r;
	d->env->app_private = d;
	d->env->set_errcall(d->env, note_fault);
	r = d->env->set_cachesize(d->env, 0, (u_int32_t)cache, 1);
	if (r == 0)
		r = d->env->open(d->env, NULL, DB_CREATE | DB_PRIVATE | DB_INIT_MPOOL, 0);
	if (r == 0)
		r = db_create(&d->db, d->env, 0);
	return r;
}

/* All that counts is synced before. */
static void close_private(struct database *d)
{
	if (d->env) /* what was given up for a spoiled page is freed all the same */
		d->env->set_flags(d->env, DB_NOPANIC, 1);
	if (d->db)
		d->db->close(d->db, DB_NOSYNC);
	if (d->env)
		d->env->close(d->env, 0);
	d->db = NULL;
	d->env = NULL;
}

static const char *fault_text(const struct database *d, int r)
{
	return d->fault[0] != '\0' ? d->fault : db_strerror(r);
}

static DBT thing(struct slice s)
{
	DBT t = {0};
	t.data = (void *)(uintptr_t)s.ptr;
	t.size = (u_int32_t)s.len;
	return t;
}

/* Making */

struct pair {
	struct slice key, value;
};

static int compare(const void *a, const void *b)
{
	return slice_compare(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static int put_pair(DB *db, struct slice key, struct slice value)
{
	DBT k = thing(key), v = thing(value);
	return db->put(db, NULL, &k, &v, 0);
}

/* In the order of the keys: pages come out full, and each is written once. */
static int put_all(DB *db, enum table_use use, const struct content *c)
{
	size_t count = content_count(c), at = 0;
	struct pair *pairs = memory_zero(count + 1, sizeof(*pairs));
	char marker[MARKER_MAX];
	int len = snprintf(marker, sizeof(marker), "%d %s %zu", DATABASE_VERSION,
			   table_use_word(use), count);
	for (size_t i = 0; i < count && content_next(c, &at, &pairs[i].key, &pairs[i].value);)
		i++;
	qsort(pairs, count, sizeof(*pairs), compare);
	int r = put_pair(db, MARKER_KEY, slice_make(marker, (size_t)len));
	for (size_t i = 0; i < count && r == 0; i++)
		r = put_pair(db, pairs[i].key, pairs[i].value);
	memory_free(pairs);
	return r;
}

bool database_make(const char *name, enum table_use use, const struct content *c, struct error *e)
{
	struct database d = {0};
	int r = open_private(&d, DATABASE_CACHE_MAX);
	if (r == 0)
		r = d.db->set_pagesize(d.db, DATABASE_PAGE);
	if (r == 0)
		r = d.db->set_flags(d.db, DB_CHKSUM);
	if (r == 0)
		r = d.db->open(d.db, NULL, name, NULL, DB_BTREE, DB_CREATE | DB_EXCL | DB_NOMMAP,
			       S_IRUSR | S_IWUSR);
	if (r == 0)
		r = put_all(d.db, use, c);
	if (r == 0)
		r = d.db->sync(d.db, 0);
	if (r != 0)
		error_set(e, EX_CANTCREAT, "%s", fault_text(&d, r));
	close_private(&d);
	return r == 0;
}

/* Reading */

/* What Berkeley DB would believe of the first page, and what it would not notice. */
static const char *header_fault(int fd, uint64_t *size)
{
	enum {
		MAGIC = 12,
		VERSION = 16,
		PAGE_SIZE = 20,
		ENCRYPTED = 24,
		TYPE = 25,
		FLAGS = 26,
		LAST_PAGE = 32,
		HEADER = 72,
		BTREE_META = 9,
		BTREE_VERSION = 9,
		CHECKSUMMED = 1
	};
	static const uint32_t btree_magic = 0x053162;
	unsigned char h[HEADER];
	uint32_t magic, version, page, last;
	struct stat st;
	if (disk_stat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return "it is no ordinary file";
	if (disk_pread(fd, h, sizeof(h), 0) != sizeof(h))
		return "it is no database";
	memcpy(&magic, h + MAGIC, sizeof(magic));
	memcpy(&version, h + VERSION, sizeof(version));
	memcpy(&page, h + PAGE_SIZE, sizeof(page));
	memcpy(&last, h + LAST_PAGE, sizeof(last));
	if (magic != btree_magic || version != BTREE_VERSION || h[TYPE] != BTREE_META)
		return "it is no database";
	if (page != DATABASE_PAGE || h[ENCRYPTED] != 0 || !(h[FLAGS] & CHECKSUMMED))
		return "another program has made it";
	*size = (uint64_t)st.st_size;
	if (*size != ((uint64_t)last + 1) * DATABASE_PAGE)
		return "it is not whole";
	return NULL;
}

/* Into data, of *len octets; *len becomes the value's length. */
static int get_value(struct database *d, struct slice key, void *data, size_t *len)
{
	DBT k = thing(key), v = {0};
	v.flags = DB_DBT_USERMEM;
	v.data = data;
	v.ulen = (u_int32_t)*len;
	int r = d->db->get(d->db, NULL, &k, &v, 0);
	*len = v.size;
	return r;
}

static const char *read_marker(struct database *d, enum table_use *use)
{
	char text[MARKER_MAX];
	size_t len = sizeof(text);
	uint64_t version;
	struct slice rest, word;
	int r = get_value(d, MARKER_KEY, text, &len);
	if (r == DB_NOTFOUND || r == DB_BUFFER_SMALL)
		return "another program has made it";
	if (r != 0)
		return fault_text(d, r);
	rest = slice_make(text, len);
	if (!slice_number(slice_word(&rest), UINT32_MAX, &version))
		return "another program has made it";
	if (version != DATABASE_VERSION)
		return "another version of stagepost has made it";
	word = slice_word(&rest);
	if (!table_use_find(word, use) || !slice_number(slice_trim(rest), SIZE_MAX, &d->count))
		return "its marker is spoiled";
	return NULL;
}

static uint64_t cache_for(uint64_t size)
{
	uint64_t wanted = size + size / 4; /* with room for Berkeley DB's own upkeep */
	return wanted < DATABASE_CACHE_MIN   ? DATABASE_CACHE_MIN
	       : wanted > DATABASE_CACHE_MAX ? DATABASE_CACHE_MAX
					     : wanted;
}

static bool open_any(int fd, struct database **result, enum table_use *use, struct error *e)
{
	uint64_t size = 0;
	struct database *d = memory_zero(1, sizeof(*d));
	const char *fault = header_fault(fd, &size);
	d->holders = 1;
	*result = d;
	if (fault)
		return error_set(e, EX_DATAERR, "%s", fault);
	int r = open_private(d, cache_for(size));
	if (r == 0) {
		given = fd;
		r = d->db->open(d->db, NULL, "table", NULL, DB_BTREE, DB_RDONLY | DB_NOMMAP, 0);
		given = -1;
	}
	fault = r != 0 ? fault_text(d, r) : read_marker(d, use);
	return !fault || error_set(e, EX_DATAERR, "%s", fault);
}

bool database_open(int fd, enum table_use use, struct database **d, struct error *e)
{
	enum table_use is = use;
	bool good = open_any(fd, d, &is, e);
	if (good && is != use)
		good = error_set(e, EX_DATAERR, "it was made for %s, not for %s",
				 table_use_word(is), table_use_word(use));
	if (!good)
		database_release(d);
	return good;
}

bool database_use(int fd, enum table_use *use, struct error *e)
{
	struct database *d;
	bool good = open_any(fd, &d, use, e);
	database_release(&d);
	return good;
}

struct database *database_hold(struct database *d)
{
	d->holders++;
	return d;
}

void database_release(struct database **d)
{
	struct database *gone = *d;
	*d = NULL;
	if (!gone || --gone->holders > 0)
		return;
	close_private(gone);
	memory_free(gone);
}

size_t database_count(const struct database *d)
{
	return (size_t)d->count;
}

/* 0, DB_NOTFOUND, or another error. */
static int find_value(struct database *d, struct slice key, struct slice *value)
{
	enum { FIRST_TRY = 512 };
	size_t len = FIRST_TRY;
	char *data = memory_get(len);
	int r = get_value(d, key, data, &len);
	if (r == DB_BUFFER_SMALL && len <= TABLE_LINE_MAX) {
		memory_free(data);
		data = memory_get(len);
		r = get_value(d, key, data, &len);
	}
	if (r != 0)
		memory_free(data);
	else
		*value = slice_make(data, len);
	return r;
}

enum table_result database_find(struct database *d, struct slice key, bool domainless,
				struct slice *value)
{
	*value = SLICE_EMPTY;
	if (d->broken || key.len > TABLE_LINE_MAX)
		return d->broken ? TABLE_ERROR : TABLE_MISSING;
	int r = key.len > 0 && key.ptr[0] == '\0' ? DB_NOTFOUND : find_value(d, key, value);
	size_t at = slice_find_last(key, '@');
	if (r == DB_NOTFOUND && domainless && at < key.len && at > 0)
		r = find_value(d, slice_sub(key, 0, at), value);
	if (r == 0)
		return TABLE_FOUND;
	if (r == DB_NOTFOUND)
		return TABLE_MISSING;
	d->broken = true;
	return TABLE_ERROR;
}
