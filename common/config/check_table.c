/*
 * check_table: the tables and their files, read as the daemons will read them. Their faults are
 * told apart from those of the configuration: the exit code is another.
 */
#include <errno.h>
#include <stdio.h>

#include "common/config/check.h"
#include "common/os/disk.h"

/* A line's report, "path:line: text", as place and text. */
static void table_line(void *arg, bool warning, const char *text)
{
	struct check *k = arg;
	char place[ERROR_TEXT_SIZE];
	const char *colon = strstr(text, ": ");
	size_t len = colon ? (size_t)(colon - text) : 0;
	slice_copy(slice_make(text, len), place, sizeof(place));
	k->bad_table = k->bad_table || !warning;
	k->report(k->arg, warning ? CONFIG_WARNING : CONFIG_ERROR, place, colon ? colon + 2 : text);
}

static void table_fault(struct check *k, const struct node *n, const char *path, const char *why)
{
	char place[CONFIG_PLACE_SIZE], text[CONFIG_PLACE_SIZE + ERROR_TEXT_SIZE];
	node_place(k->c, n, place);
	snprintf(text, sizeof(text), "%s: %s", path, why);
	k->bad_table = true;
	k->report(k->arg, CONFIG_ERROR, place, text);
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
	return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* A database beside a text file that was changed since; st NULL: it is not there. */
static void check_built(struct check *k, const struct node *n, const char *path,
			const struct stat *st, enum table_use use)
{
	static const struct slice SUFFIX = {".db", 3};
	char text[TEXT_WORD_MAX + 1];
	struct stat from;
	struct slice name = slice_str(path);
	if (!slice_ends_fold(name, SUFFIX) ||
	    !slice_copy(slice_sub(name, 0, name.len - SUFFIX.len), text, sizeof(text)) ||
	    disk_stat_at(AT_FDCWD, text, &from) != 0 || (st && !is_newer(&from, st)))
		return;
	check_warning(k, n, "%s is %s: run stagepost table build %s %s", path,
		      st ? "older than its text" : "to be built", table_use_word(use), text);
}

static void read_table(struct check *k, const struct node *n, struct table *t, const char *path,
		       enum table_use use)
{
	struct stat st;
	struct error e;
	int fd = disk_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	bool there = fd >= 0 && disk_stat(fd, &st) == 0;
	int why = errno;
	check_built(k, n, path, there ? &st : NULL, use);
	if (!there)
		table_fault(k, n, path, strerror(why));
	else if (!S_ISREG(st.st_mode))
		table_fault(k, n, path, "it is no ordinary file");
	else
		table_load_fd(t, fd, table_line, k, &e);
	if (fd >= 0)
		disk_close(fd);
}

void check_table(struct check *k, const struct node *n, struct slice spec, enum table_use use)
{
	struct table *t;
	struct error e;
	if (map_get(k->tables[use], spec))
		return;
	if (!table_open(spec.ptr, use, &t, &e)) {
		check_error(k, n, "%s", e.text);
		return;
	}
	map_put(k->tables[use], slice_str(table_spec(t)), t);
	const char *path = table_spec_path(spec.ptr);
	if (path)
		read_table(k, n, t, path, use);
}

void check_tables(struct check *k, const struct node *n, enum table_use use)
{
	for (size_t i = 0; i < n->text_count; i++)
		check_table(k, n, n->texts[i], use);
}

static void note_result(void *arg, enum table_result result, struct slice value)
{
	(void)value;
	*(bool *)arg = result != TABLE_MISSING;
}

bool check_has_entry(struct check *k, struct slice spec, enum table_use use, struct slice key)
{
	struct table *t = map_get(k->tables[use], spec);
	bool found = true;
	if (t)
		table_lookup(t, key, note_result, &found);
	return found;
}

static void free_tables(struct map **tables)
{
	size_t at = 0;
	struct slice spec;
	void *value;
	while (map_next(*tables, &at, &spec, &value)) {
		struct table *t = value;
		map_remove(*tables, spec);
		table_free(&t);
	}
	map_free(tables);
}

void check_free(struct check *k)
{
	for (size_t use = 0; use < TABLE_USE_COUNT; use++)
		free_tables(&k->tables[use]);
	map_free(&k->domains);
	map_free(&k->listeners);
}
