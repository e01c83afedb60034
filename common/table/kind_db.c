/*
 * kind_db: a database that `stagepost table build` made from a text file. Only what is asked for is
 * read, so it is as fast with a million entries as with a thousand, and loads at once.
 */
#include <sysexits.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/table/database.h"
#include "common/table/kind.h"

static bool db_open(struct table *t, struct error *e)
{
	if (t->rest[0] == '\0')
		return error_set(e, EX_CONFIG, "db: what is the path? (db:PATH)");
	return true;
}

static bool db_load(struct table *t, int fd, table_report *report, void *arg, struct error *e)
{
	struct database *fresh;
	struct error why = {0};
	if (!database_open(fd, t->use, &fresh, &why)) {
		error_set(e, why.code, "%s: %s", t->rest, why.text);
		if (report)
			report(arg, false, e->text);
		return false;
	}
	database_release(&t->database);
	t->database = fresh;
	t->told = false;
	return true;
}

static void db_lookup(struct table *t, struct slice key, table_done *done, void *arg)
{
	struct slice value = SLICE_EMPTY;
	enum table_result result = TABLE_ERROR;
	if (t->database)
		result = database_find(t->database, key, t->use != TABLE_PLAIN, &value);
	if (t->database && result == TABLE_ERROR && !t->told) {
		log_error("table %s is spoiled: build it anew with stagepost table build", t->rest);
		t->told = true;
	}
	done(arg, result, value); /* may free the table */
	memory_free((void *)(uintptr_t)value.ptr);
}

static size_t db_count(const struct table *t)
{
	return t->database ? database_count(t->database) : 0;
}

static bool db_loaded(const struct table *t)
{
	return t->database != NULL;
}

static void db_free(struct table *t)
{
	database_release(&t->database);
}

const struct table_kind table_kind_db = {
    .name = "db",
    .suffix = ".db",
    .has_file = true,
    .open = db_open,
    .load = db_load,
    .loaded = db_loaded,
    .count = db_count,
    .lookup = db_lookup,
    .free = db_free,
};
