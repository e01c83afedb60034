/*
 * Tables that several statements name are opened once. A daemon that is started again later gets
 * the last descriptor that could be opened.
 */
#include "master/tables.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <bsd/sys/queue.h>

#include "common/base/memory.h"
#include "master/watched.h"

struct table_file {
	TAILQ_ENTRY(table_file) next;
	enum table_use use;
	char *spec;
	struct watched file;
};

struct tables {
	TAILQ_HEAD(, table_file) files;
	struct error *e; /* while it is opened: the first failure */
	bool good;
};

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
	watched_init(&f->file, c->path);
	TAILQ_INSERT_TAIL(&t->files, f, next);
	if (!watched_open(&f->file))
		t->good = error_set(t->e, EX_NOINPUT, "table %s: %s", f->file.path,
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
		watched_free(&f->file);
		memory_free(f->spec);
		memory_free(f);
	}
	memory_free(*t);
	*t = NULL;
}

void tables_each(const struct tables *t, tables_call *call, void *arg)
{
	struct table_file *f;
	TAILQ_FOREACH (f, &t->files, next) {
		call(arg, f->use, f->spec, f->file.fd);
	}
}

void tables_look(struct tables *t, tables_call *call, void *arg)
{
	struct table_file *f;
	TAILQ_FOREACH (f, &t->files, next) {
		if (watched_look(&f->file, "table"))
			call(arg, f->use, f->spec, f->file.fd);
	}
}
