/*
 * The shelf of alias tables. A table lives while a book names it, so that a reload keeps the
 * content of every table that the new configuration still names.
 */
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/router/shelf.h"

static struct map *shelf; /* spec -> struct shelf_table */

struct shelf_table *shelf_take(struct slice spec)
{
	struct shelf_table *t;
	struct error e;

	if (shelf == NULL)
		shelf = map_new();
	t = map_get(shelf, spec);
	if (t == NULL) {
		t = memory_zero(1, sizeof(*t));
		t->spec = memory_string(spec);
		if (!table_open(t->spec, TABLE_ALIASES, &t->table, &e))
			log_error("aliases %s: %s; mail that needs this table waits", t->spec,
				  e.text);
		map_put(shelf, slice_str(t->spec), t);
	}
	t->holders++;
	return t;
}

void shelf_release(struct shelf_table *t)
{
	if (--t->holders > 0)
		return;
	map_remove(shelf, slice_str(t->spec));
	table_free(&t->table);
	memory_free(t->spec);
	memory_free(t);
	if (map_count(shelf) == 0)
		map_free(&shelf);
}

static void report(void *arg, bool warning, const char *text)
{
	(void)arg;
	log_sentence(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "aliases", text);
}

bool shelf_load(struct slice spec, int fd)
{
	struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;
	struct error e;

	if (t == NULL)
		return false;
	if (t->table == NULL)
		return true;
	if (table_load_fd(t->table, fd, report, NULL, &e))
		log_info("aliases %s: %zu entries", t->spec, table_count(t->table));
	else if (table_loaded(t->table))
		log_error("aliases %s: the file is bad, its former content stays in use", t->spec);
	else
		log_error("aliases %s: the file is bad; mail that needs this table waits", t->spec);
	return true;
}
