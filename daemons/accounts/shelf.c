/*
 * The users tables by spec. Only these are ever looked into: a question that names another table
 * than the configuration is answered with trouble, whoever asks.
 */
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/mail/address.h"
#include "daemons/accounts/shelf.h"

struct shelf_table {
	struct table *table;
	bool named; /* in the new set */
};

struct asked {
	shelf_done *done;
	void *arg;
};

static struct map *shelf; /* spec -> struct shelf_table */

void shelf_begin(void)
{
	struct slice spec;
	void *value;

	if (shelf == NULL)
		shelf = map_new();
	for (size_t at = 0; map_next(shelf, &at, &spec, &value);)
		((struct shelf_table *)value)->named = false;
}

void shelf_name(struct slice spec)
{
	struct shelf_table *t = map_get(shelf, spec);
	struct table *table;
	struct error e;
	char *text;

	if (t == NULL) {
		text = memory_string(spec);
		if (!table_open(text, TABLE_USERS, &table, &e)) {
			log_error("users %s: %s; mail for its users waits", text, e.text);
			memory_free(text);
			return;
		}
		memory_free(text);
		t = memory_zero(1, sizeof(*t));
		t->table = table;
		map_put(shelf, slice_str(table_spec(table)), t);
	}
	t->named = true;
}

void shelf_end(void)
{
	struct slice spec;
	void *value;

	for (size_t at = 0; map_next(shelf, &at, &spec, &value);) {
		struct shelf_table *t = value;

		if (t->named)
			continue;
		map_remove(shelf, spec);
		table_free(&t->table);
		memory_free(t);
	}
}

static void report(void *arg, bool warning, const char *text)
{
	(void)arg;
	log_sentence(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "users", text);
}

bool shelf_load(struct slice spec, int fd)
{
	struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;
	struct error e;

	if (t == NULL)
		return false;
	if (table_load_fd(t->table, fd, report, NULL, &e))
		log_info("users %.*s: %zu entries", SLICE_FMT(spec), table_count(t->table));
	else if (table_loaded(t->table))
		log_error("users %.*s: the file is bad, its former content stays in use",
			  SLICE_FMT(spec));
	else
		log_error("users %.*s: the file is bad; mail for its users waits", SLICE_FMT(spec));
	return true;
}

static void give(shelf_done *done, void *arg, enum accounts_result result, const char *text)
{
	struct accounts_answer m = {.result = result, .text = slice_str(text)};

	done(arg, &m);
}

static void found(void *arg, enum table_result result, struct slice value)
{
	static const enum accounts_result meaning[] = {
	    [TABLE_FOUND] = ACCOUNTS_KNOWN,
	    [TABLE_MISSING] = ACCOUNTS_MISSING,
	    [TABLE_ERROR] = ACCOUNTS_TROUBLE, /* S55: an error is no miss */
	};
	struct asked a = *(struct asked *)arg;

	(void)value;
	memory_free(arg);
	give(a.done, a.arg, meaning[result],
	     result == TABLE_ERROR ? "the users table could not be read" : "");
}

/* The key of the table's look-ups; false: that is no user's address. */
static bool key_of(struct slice user, struct slice domain, char text[ADDRESS_SIZE],
		   struct slice *key)
{
	struct address a;

	if (!address_path_safe(user) || domain.len == 0 || user.len + 3 + domain.len > ADDRESS_MAX)
		return false;
	address_null(&a);
	a.kind = ADDRESS_NAME;
	memcpy(a.local, user.ptr, user.len);
	a.local_len = (uint8_t)user.len;
	memcpy(a.domain, domain.ptr, domain.len);
	a.domain_len = (uint8_t)domain.len;
	*key = address_key(&a, text);
	return true;
}

void shelf_ask(struct slice spec, struct slice user, struct slice domain, shelf_done *done,
	       void *arg)
{
	struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;
	char text[2 * ADDRESS_SIZE];
	struct slice key;
	struct asked *a;

	if (t == NULL) {
		give(done, arg, ACCOUNTS_TROUBLE, "the configuration names no such users table");
		return;
	}
	if (!key_of(user, domain, text, &key)) {
		give(done, arg, ACCOUNTS_MISSING, "");
		return;
	}
	a = memory_get(sizeof(*a));
	*a = (struct asked){done, arg};
	table_lookup(t->table, key, found, a);
}
