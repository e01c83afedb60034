/*
 * The shelf of tables. A table lives while a book names it, so that a reload keeps the
 * content of every table that the new configuration still names.
 */
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/router/shelf.h"

static struct map *shelves[TABLE_USE_COUNT]; /* spec -> struct shelf_table */
static const char *const WORDS[TABLE_USE_COUNT] = {
    [TABLE_ALIASES] = "aliases",
    [TABLE_USERS] = "users",
    [TABLE_PLAIN] = "table",
    [TABLE_ROUTES] = "routes",
};

struct shelf_table *shelf_take(struct slice spec, enum table_use use)
{
	struct shelf_table *t;
	struct error e;

	if (shelves[use] == NULL)
		shelves[use] = map_new();
	t = map_get(shelves[use], spec);
	if (t == NULL) {
		t = memory_zero(1, sizeof(*t));
		t->use = use;
		t->spec = memory_string(spec);
		if (!table_open(t->spec, use, &t->table, &e))
			log_error("%s %s: %s; mail that needs this table waits", WORDS[use],
				  t->spec, e.text);
		map_put(shelves[use], slice_str(t->spec), t);
	}
	t->holders++;
	return t;
}

void shelf_release(struct shelf_table *t)
{
	struct map **shelf = &shelves[t->use];

	if (--t->holders > 0)
		return;
	map_remove(*shelf, slice_str(t->spec));
	table_free(&t->table);
	memory_free(t->spec);
	memory_free(t);
	if (map_count(*shelf) == 0)
		map_free(shelf);
}

static void report(void *arg, bool warning, const char *text)
{
	log_sentence(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, arg, text);
}

static void load(struct shelf_table *t, const char *word, int fd)
{
	struct error e;

	if (t->table == NULL)
		return;
	if (table_load_fd(t->table, fd, report, (void *)word, &e))
		log_info("%s %s: %zu entries", word, t->spec, table_count(t->table));
	else if (table_loaded(t->table))
		log_error("%s %s: the file is bad, its former content stays in use", word, t->spec);
	else
		log_error("%s %s: the file is bad; mail that needs this table waits", word,
			  t->spec);
}

bool shelf_load(struct slice spec, int fd)
{
	bool held = false;

	for (int use = 0; use < TABLE_USE_COUNT; use++) {
		struct shelf_table *t = shelves[use] ? map_get(shelves[use], spec) : NULL;
		if (t != NULL)
			load(t, WORDS[use], fd);
		held = held || t != NULL;
	}
	return held;
}
