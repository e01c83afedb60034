/*
 * A file counts as changed when its path leads to another inode, or its size or times differ from
 * when it was opened; symbolic links are followed, so a link that is turned counts too. It is taken
 * once it looks the same twice: half of a file that an editor is still writing reads as a table in
 * which people are missing, and their mail would be refused. The descriptor is read-only and fresh
 * each time: a daemon that is started again later gets the last one that could be opened.
 */
#include "master/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <bsd/sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"

enum { LOOKS_MAX = 3 }; /* a file that never comes to rest is taken as it is then */

struct table_file {
	TAILQ_ENTRY(table_file) next;
	enum table_use use;
	char *spec, *path;
	int fd;
	struct stat seen;   /* of fd */
	struct stat latest; /* at the last look; with looks > 0 */
	unsigned looks;	    /* that found it changed, since it was opened */
	bool missing;	    /* and told so */
};

struct tables {
	TAILQ_HEAD(, table_file) files;
	struct error *e; /* while it is opened: the first failure */
	bool good;
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A new descriptor for the path; false with errno, and the old one stays. Non-blocking: a path may
 * lead to a pipe. */
static bool file_open(struct table_file *f)
{
	struct stat st;
	int fd = disk_open(AT_FDCWD, f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return false;
	if (disk_stat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		disk_close(fd);
		errno = EINVAL;
		return false;
	}
	if (f->fd >= 0)
		disk_close(f->fd);
	f->fd = fd;
	f->seen = st;
	f->looks = 0;
	return true;
}

static struct table_file *find(struct tables *t, const struct config_table *c)
{
	struct table_file *f;
	TAILQ_FOREACH (f, &t->files, next) {
		if (f->use == c->use && strcmp(f->spec, c->spec) == 0)
			return f;
	}
	return NULL;
}

static void add(void *arg, const struct config_table *c)
{
	struct tables *t = arg;
	struct table_file *f;
	if (!c->path || find(t, c) || !t->good)
		return;
	f = memory_zero(1, sizeof(*f));
	f->use = c->use;
	f->spec = memory_string(slice_str(c->spec));
	f->path = memory_string(slice_str(c->path));
	f->fd = -1;
	TAILQ_INSERT_TAIL(&t->files, f, next);
	if (!file_open(f))
		t->good = error_set(t->e, EX_NOINPUT, "table %s: %s", f->path,
				    errno == EINVAL ? "is not a regular file" : strerror(errno));
}

bool tables_open(const struct config *config, struct tables **result, struct error *e)
{
	struct tables *t = memory_zero(1, sizeof(*t));
	TAILQ_INIT(&t->files);
	t->e = e;
	t->good = true;
	config_tables(config, add, t);
	t->e = NULL;
	if (!t->good) {
		tables_free(&t);
		return false;
	}
	*result = t;
	return true;
}

void tables_free(struct tables **t)
{
	struct table_file *f;
	if (!*t)
		return;
	while ((f = TAILQ_FIRST(&(*t)->files))) {
		TAILQ_REMOVE(&(*t)->files, f, next);
		if (f->fd >= 0)
			disk_close(f->fd);
		memory_free(f->spec);
		memory_free(f->path);
		memory_free(f);
	}
	memory_free(*t);
	*t = NULL;
}

void tables_each(const struct tables *t, tables_call *call, void *arg)
{
	struct table_file *f;
	TAILQ_FOREACH (f, &t->files, next) {
		call(arg, f->use, f->spec, f->fd);
	}
}

/* The path itself may be a link, so it is opened to be looked at; a descriptor that only names the
 * file (O_PATH) costs no right to read it. */
static bool path_stat(const char *path, struct stat *st)
{
	int fd = disk_open(AT_FDCWD, path, O_PATH, 0);
	int result;
	if (fd < 0)
		return false;
	result = disk_stat(fd, st);
	disk_close(fd);
	return result == 0;
}

static bool at_rest(struct table_file *f, const struct stat *st)
{
	bool same = f->looks > 0 && same_file(st, &f->latest);
	f->latest = *st;
	return ++f->looks >= LOOKS_MAX || same;
}

void tables_look(struct tables *t, tables_call *call, void *arg)
{
	struct table_file *f;
	TAILQ_FOREACH (f, &t->files, next) {
		struct stat st;
		bool there = path_stat(f->path, &st);
		if (there && same_file(&st, &f->seen)) {
			f->missing = false;
			f->looks = 0;
			continue;
		}
		if (there && !at_rest(f, &st))
			continue;
		if (there && file_open(f)) {
			f->missing = false;
			call(arg, f->use, f->spec, f->fd);
			continue;
		}
		if (!f->missing)
			log_warning("table %s: %s; its last content stays in use", f->path,
				    errno == EINVAL ? "is not a regular file" : strerror(errno));
		f->missing = true;
	}
}
