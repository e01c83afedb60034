/*
 * table: finds the kind of a spec and passes on to it; loads text of a use's format into fresh
 * content and swaps it in when all of it is good.
 */
#include <errno.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/table/database.h"
#include "common/table/kind.h"
#include "common/table/reader.h"

static const struct table_kind *const KINDS[] = {
    &table_kind_file,
    &table_kind_db,
    &table_kind_static,
};

static const char *const USES[TABLE_USE_COUNT] = {
    [TABLE_ALIASES] = "aliases",
    [TABLE_USERS] = "users",
    [TABLE_PLAIN] = "plain",
    [TABLE_ROUTES] = "routes",
};

const char *table_use_word(enum table_use use)
{
	return USES[use];
}

bool table_use_find(struct slice word, enum table_use *use)
{
	for (size_t i = 0; i < TABLE_USE_COUNT; i++) {
		if (slice_equal(word, slice_str(USES[i]))) {
			*use = (enum table_use)i;
			return true;
		}
	}
	return false;
}

static const struct table_kind *find_kind(struct slice name)
{
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (slice_equal(name, slice_str(KINDS[i]->name)))
			return KINDS[i];
	return NULL;
}

bool table_open(const char *spec, enum table_use use, struct table **t, struct error *e)
{
	struct slice name, rest, text = slice_str(spec);
	*t = NULL;
	bool colon = slice_split(text, ':', &name, &rest);
	const struct table_kind *kind = find_kind(name);
	if (!colon || !kind)
		return error_set(
		    e, EX_CONFIG,
		    "`%.*s` is no table: write file:PATH, db:PATH or static:KEY=VALUE,KEY",
		    SLICE_FMT(slice_sub(text, 0, 80)));
	if (text.len > TABLE_SPEC_MAX)
		return error_set(e, EX_CONFIG, "the table's text is longer than %d octets",
				 TABLE_SPEC_MAX);
	struct table *opened = memory_zero(1, sizeof(*opened));
	opened->kind = kind;
	opened->use = use;
	opened->spec = memory_string(text);
	opened->rest = opened->spec + name.len + 1;
	if (!kind->open(opened, e)) {
		table_free(&opened);
		return false;
	}
	*t = opened;
	return true;
}

void table_free(struct table **t)
{
	if (!*t)
		return;
	(*t)->kind->free(*t);
	memory_free((*t)->spec);
	memory_free(*t);
	*t = NULL;
}

const char *table_spec(const struct table *t)
{
	return t->spec;
}

const char *table_spec_path(const char *spec)
{
	struct slice name, rest;
	slice_split(slice_str(spec), ':', &name, &rest);
	const struct table_kind *kind = find_kind(name);
	return kind && kind->has_file ? rest.ptr : NULL;
}

const char *table_spec_suffix(const char *spec)
{
	struct slice name, rest;
	slice_split(slice_str(spec), ':', &name, &rest);
	const struct table_kind *kind = find_kind(name);
	if (!kind || !kind->suffix || rest.len == 0 ||
	    slice_ends_fold(rest, slice_str(kind->suffix)))
		return "";
	return kind->suffix;
}

bool table_load_text(struct table *t, struct slice text, table_report *report, void *arg,
		     struct error *e)
{
	static void (*const read[])(struct reader *) = {
	    [TABLE_ALIASES] = read_aliases,
	    [TABLE_USERS] = read_users,
	    [TABLE_PLAIN] = read_plain,
	    [TABLE_ROUTES] = read_routes,
	};
	if (!t->kind->has_file || t->kind->load)
		panic("table %s has no text to load", t->kind->name);
	struct reader r = {
	    .name = t->rest,
	    .rest = text,
	    .report = report,
	    .arg = arg,
	    .e = e,
	    .content = content_new(),
	};
	read[t->use](&r);
	if (r.bad > 0) {
		content_release(&r.content);
		return false;
	}
	content_release(&t->content);
	t->content = r.content;
	return true;
}

bool table_load_fd(struct table *t, int fd, table_report *report, void *arg, struct error *e)
{
	struct buffer text;
	if (t->kind->load)
		return t->kind->load(t, fd, report, arg, e);
	buffer_init(&text, TABLE_FILE_MAX);
	bool good = disk_read_whole(fd, TABLE_FILE_MAX, &text) == 0;
	if (good) {
		good = table_load_text(t, buffer_slice(&text), report, arg, e);
	} else {
		if (errno == EFBIG)
			error_set(e, EX_DATAERR, "%s: the file has more than %d octets", t->rest,
				  TABLE_FILE_MAX);
		else
			error_set(e, EX_DATAERR, "%s: %s", t->rest, strerror(errno));
		if (report && e)
			report(arg, false, e->text);
	}
	buffer_free(&text);
	return good;
}

bool table_loaded(const struct table *t)
{
	return t->kind->loaded(t);
}

size_t table_count(const struct table *t)
{
	return t->kind->count(t);
}

bool table_each(const struct table *t, table_entry_call *call, void *arg)
{
	struct slice key, value;
	if (!t->content)
		return false;
	for (size_t at = 0; content_next(t->content, &at, &key, &value);)
		call(arg, key, value);
	return true;
}

bool table_write_database(const struct table *t, const char *name, struct error *e)
{
	if (!t->content)
		panic("a table without content can't be written");
	return database_make(name, t->use, t->content, e);
}

bool table_database_use(int fd, enum table_use *use, struct error *e)
{
	return database_use(fd, use, e);
}

void table_lookup(struct table *t, struct slice key, table_done *done, void *arg)
{
	t->kind->lookup(t, key, done, arg);
}

bool table_content_loaded(const struct table *t)
{
	return t->content != NULL;
}

size_t table_content_count(const struct table *t)
{
	return t->content ? content_count(t->content) : 0;
}

void table_content_free(struct table *t)
{
	content_release(&t->content);
}

void table_content_lookup(struct table *t, struct slice key, table_done *done, void *arg)
{
	struct slice value = SLICE_EMPTY;
	if (!t->content) {
		done(arg, TABLE_ERROR, SLICE_EMPTY);
		return;
	}
	/* done may load new content into this table, or free it */
	struct content *held = content_hold(t->content);
	bool found = content_find(held, key, t->use != TABLE_PLAIN, &value);
	done(arg, found ? TABLE_FOUND : TABLE_MISSING, value);
	content_release(&held);
}
