/*
 * config: reads the file (text), lays the schema over it (tree), makes the settings records; and
 * answers what callers ask of the result.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/config/tree.h"
#include "common/config/pattern.h"
#include "common/os/disk.h"

const char *path_absolute(struct arena *a, const char *directory, struct slice path)
{
	struct slice from = slice_str(path.len > 0 && path.ptr[0] == '/' ? "" : directory);
	char *text = arena_get(a, from.len + path.len + 3);
	if (!text)
		return NULL;
	size_t len = 0;
	for (int i = 0; i < 2; i++) {
		struct slice rest = i == 0 ? from : path, part;
		while (rest.len > 0) {
			slice_split(rest, '/', &part, &rest);
			if (part.len == 0 || slice_equal(part, SLICE(".")))
				continue;
			text[len++] = '/';
			memcpy(text + len, part.ptr, part.len);
			len += part.len;
		}
	}
	if (len == 0)
		text[len++] = '/';
	text[len] = '\0';
	return text;
}

/* The file's own absolute path and directory, symbolic links left as they are. */
static bool set_paths(struct config *c, const char *path, struct error *e)
{
	char here[TEXT_WORD_MAX];
	if (path[0] != '/' && !getcwd(here, sizeof(here)))
		return error_set(e, EX_NOINPUT, "%s: the current directory: %s", path,
				 strerror(errno));
	c->path = path_absolute(&c->arena, here, slice_str(path));
	size_t slash = slice_find_last(slice_str(c->path), '/');
	c->directory = arena_copy(&c->arena, slice_make(c->path, slash + 1)).ptr;
	return c->directory || error_set(e, EX_CONFIG, "the path is too long");
}

static bool read_file(void *arg, const char *path, struct slice *text, struct error *e)
{
	struct config *c = arg;
	struct buffer b;
	/* non-blocking: a pipe that nobody writes must not stop a master that reloads */
	int fd = disk_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, EX_NOINPUT, "%s: %s", path, strerror(errno));
	buffer_init(&b, CONFIG_TEXT_MAX);
	size_t room = CONFIG_TEXT_MAX - c->text_size;
	bool good = disk_read_whole(fd, room, &b) == 0;
	if (!good && (errno == EFBIG || errno == ENOBUFS))
		error_set(e, EX_CONFIG, "%s: the configuration has more than %d octets", path,
			  CONFIG_TEXT_MAX);
	else if (!good)
		error_set(e, EX_NOINPUT, "%s: %s", path, strerror(errno));
	if (good) {
		c->text_size += b.len;
		*text = arena_copy(&c->arena, buffer_slice(&b));
		good = text->ptr || error_set(e, EX_CONFIG, "the configuration is too large");
	}
	buffer_free(&b);
	disk_close(fd);
	return good;
}

/* The first word of /etc/mailname; NULL: there is none. */
static const char *read_mailname(struct config *c, const char *path)
{
	enum { MAILNAME_MAX = 1024 };
	struct buffer b;
	const char *name = NULL;
	int fd = path ? disk_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0) : -1;
	if (fd < 0)
		return NULL;
	buffer_init(&b, MAILNAME_MAX);
	if (disk_read_whole(fd, MAILNAME_MAX, &b) == 0) {
		struct slice text = buffer_slice(&b), word = slice_word(&text);
		if (word.len > 0 && word.len <= HOST_NAME_MAX_OCTETS)
			name = arena_copy(&c->arena, word).ptr;
	}
	buffer_free(&b);
	disk_close(fd);
	return name;
}

/* A misspelt `run` stays, to be refused: the default would lead to another server. */
static bool names_place(struct slice name)
{
	enum schema_place elsewhere;
	const struct schema *s = schema_find(PLACE_TOP, name);
	if (!s)
		s = schema_nearest(PLACE_TOP, name, &elsewhere);
	return s && (strcmp(s->name, "run") == 0 || strcmp(s->name, "spool") == 0);
}

static void keep_places(struct text_list *statements)
{
	struct text_statement *s, *next;
	TAILQ_FOREACH_SAFE (s, statements, link, next)
		if (!names_place(s->name.text))
			TAILQ_REMOVE(statements, s, link);
}

static bool load(struct config *c, const struct config_host *host, const char *path, bool places,
		 struct error *e)
{
	struct text_source source = {read_file, c, &c->arena};
	struct text_list statements;
	TAILQ_INIT(&statements);
	c->machine[MACHINE_HOSTNAME] = arena_copy(&c->arena, slice_str(host->name)).ptr;
	if (!set_paths(c, path, e) || !text_parse(&source, path, &statements, e))
		return false;
	if (places)
		keep_places(&statements);
	/* `origin` falls back to /etc/mailname, then to what `hostname` is */
	const struct text_statement *s;
	const char *hostname = c->machine[MACHINE_HOSTNAME];
	TAILQ_FOREACH (s, &statements, link)
		if (slice_equal(s->name.text, SLICE("hostname")) && s->value_count == 1)
			hostname = s->values[0].text.ptr;
	const char *mailname = read_mailname(c, host->mailname_path);
	c->machine[MACHINE_MAILNAME] = mailname ? mailname : hostname;
	return tree_build(c, &statements, e) && records_build(c, e);
}

struct listener {
	config_report_call *report;
	void *arg;
};

static bool load_new(const struct config_host *host, const char *path, bool places,
		     const struct listener *listener, struct config **config, struct error *e)
{
	struct config *c = memory_zero(1, sizeof(*c));
	arena_init(&c->arena, CONFIG_MEMORY_MAX);
	*config = NULL;
	if (listener) {
		c->report = listener->report;
		c->report_arg = listener->arg;
	}
	if (!load(c, host, path, places, e)) {
		config_free(&c);
		return false;
	}
	*config = c;
	return true;
}

bool config_load_for(const struct config_host *host, const char *path, struct config **config,
		     struct error *e)
{
	return load_new(host, path, false, NULL, config, e);
}

static bool load_here(const char *path, bool places, const struct listener *listener,
		      struct config **config, struct error *e)
{
	char name[HOST_NAME_MAX_OCTETS + 1];
	if (gethostname(name, sizeof(name)) != 0)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	struct config_host host = {name, "/etc/mailname"};
	return load_new(&host, path, places, listener, config, e);
}

bool config_load(const char *path, struct config **config, struct error *e)
{
	return load_here(path, false, NULL, config, e);
}

bool config_load_reporting(const char *path, config_report_call *report, void *arg,
			   struct config **config, struct error *e)
{
	const struct listener listener = {report, arg};
	return load_here(path, false, &listener, config, e);
}

bool config_load_places(const char *path, struct config **config, struct error *e)
{
	return load_here(path, true, NULL, config, e);
}

void config_free(struct config **config)
{
	if (!*config)
		return;
	arena_free(&(*config)->arena);
	memory_free(*config);
	*config = NULL;
}

const char *config_path(const struct config *config)
{
	return config->path;
}

const char *config_directory(const struct config *config)
{
	return config->directory;
}

static const struct node *by_key(const struct config *config, const char *key)
{
	const struct schema *s = schema_by_key(slice_str(key));
	if (!s || s->list || s->type == TYPE_NOTHING)
		panic("the schema has no key %s with a value", key);
	return config->by_key[s - schema];
}

static bool is_number(const struct node *n)
{
	return n->schema->type == TYPE_NUMBER || n->schema->type == TYPE_SIZE ||
	       n->schema->type == TYPE_TIME;
}

const char *config_string(const struct config *config, const char *key)
{
	const struct node *n = by_key(config, key);
	if (!n)
		return "";
	if (is_number(n) || n->text_count != 1)
		panic("the value of %s is not one text", key);
	return n->texts[0].ptr;
}

uint64_t config_number(const struct config *config, const char *key)
{
	const struct node *n = by_key(config, key);
	if (!n || !is_number(n))
		panic("the value of %s is no number", key);
	return n->number;
}

void config_each(const struct config *config, const struct record *record, config_record_call *call,
		 void *arg)
{
	const struct item *item;
	for (size_t i = 0; settings_records[i]; i++) {
		if (record && record != settings_records[i])
			continue;
		TAILQ_FOREACH (item, &config->items, link)
			if (item->record == settings_records[i])
				call(arg, item->record, item->value);
	}
}

/* The table that an item names, for what; false: none. */
static bool item_table(const struct item *item, struct config_table *table)
{
	struct slice spec = SLICE_EMPTY;
	if (item->record == &settings_aliases_record) {
		spec = ((const struct settings_aliases *)item->value)->table;
		table->use = TABLE_ALIASES;
	} else if (item->record == &settings_routes_record) {
		spec = ((const struct settings_routes *)item->value)->table;
		table->use = TABLE_ROUTES;
	} else if (item->record == &settings_outbound_record) {
		spec = ((const struct settings_outbound *)item->value)->pattern;
		table->use = TABLE_PLAIN;
		if (!pattern_is_table(spec))
			return false;
	} else if (item->record == &settings_senders_record) {
		spec = ((const struct settings_senders *)item->value)->table;
		table->use = TABLE_PLAIN;
	} else if (item->record == &settings_passwords_record) {
		const struct settings_passwords *p = item->value;
		table->use = TABLE_USERS;
		if (!slice_equal(p->kind, SLICE("table")))
			return false;
		spec = p->source;
	} else if (item->record == &settings_deliver_record) {
		spec = ((const struct settings_deliver *)item->value)->users;
		table->use = TABLE_USERS;
		if (!users_is_table(spec))
			return false;
	}
	table->spec = spec.ptr;
	table->path = spec.len > 0 ? table_spec_path(spec.ptr) : NULL;
	return spec.len > 0;
}

bool users_is_table(struct slice users)
{
	return users.len > 0 && !slice_equal(users, SLICE("any")) &&
	       !slice_equal(users, SLICE("system"));
}

void config_tables(const struct config *config, config_table_call *call, void *arg)
{
	struct map *seen[TABLE_USE_COUNT];
	const struct item *item;
	struct config_table table;
	for (size_t i = 0; i < TABLE_USE_COUNT; i++)
		seen[i] = map_new();
	TAILQ_FOREACH (item, &config->items, link)
		if (item_table(item, &table) &&
		    !map_put(seen[table.use], slice_str(table.spec), item->value))
			call(arg, &table);
	for (size_t i = 0; i < TABLE_USE_COUNT; i++)
		map_free(&seen[i]);
}
