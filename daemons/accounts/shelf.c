/*
 * The users tables by spec. Only these are ever looked into: a question that names another table
 * than the configuration is answered with trouble, whoever asks.
 */
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/mail/address.h"
#include "common/password/password.h"
#include "daemons/accounts/samples.h"
#include "daemons/accounts/shelf.h"

struct shelf_table {
	struct table *table;
	bool named;	  /* in the new set */
	bool scram_alone; /* all passwords are SCRAM keys */
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

struct counted {
	size_t scram, others, plain, faults;
};

static void count_entry(void *arg, struct slice key, struct slice value)
{
	struct counted *c = arg;
	struct table_user user;
	struct slice hash;

	(void)key;
	table_user_read(value, &user);
	if (user.password.len == 0)
		return;
	samples_note(user.password);
	switch (password_scheme(user.password, &hash)) {
	case PASSWORD_SCRAM_SHA_256:
		c->scram++;
		return;
	case PASSWORD_PLAIN:
		c->plain++;
		c->others++;
		return;
	case PASSWORD_CRYPT:
		c->others++;
		return;
	default:
		c->faults += password_fault(user.password) != NULL;
	}
}

/* What the table has of passwords; those that can't be used are told of, not shown. */
static void look_through(struct shelf_table *t, struct slice spec)
{
	struct counted c = {0};

	samples_fade();
	t->scram_alone = table_each(t->table, count_entry, &c) && c.others == 0 && c.scram > 0;
	if (c.plain > 0)
		log_warning("users %.*s: %zu passwords are kept as they are ({PLAIN}); "
			    "`stagepost user passwd` keeps SCRAM keys instead",
			    SLICE_FMT(spec), c.plain);
	if (c.faults > 0)
		log_warning("users %.*s: %zu passwords are of schemes that can't be checked here; "
			    "these users can't log in",
			    SLICE_FMT(spec), c.faults);
}

bool shelf_scram_alone(struct slice spec)
{
	const struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;

	return t != NULL && t->scram_alone;
}

bool shelf_load(struct slice spec, int fd)
{
	struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;
	struct error e;

	if (t == NULL)
		return false;
	if (table_load_fd(t->table, fd, report, NULL, &e)) {
		log_info("users %.*s: %zu entries", SLICE_FMT(spec), table_count(t->table));
		look_through(t, spec);
	} else if (table_loaded(t->table)) {
		log_error("users %.*s: the file is bad, its former content stays in use",
			  SLICE_FMT(spec));
	} else {
		log_error("users %.*s: the file is bad; mail for its users waits", SLICE_FMT(spec));
	}
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

void shelf_entry(struct slice spec, struct slice user, struct slice domain, table_done *done,
		 void *arg)
{
	struct shelf_table *t = shelf ? map_get(shelf, spec) : NULL;
	char text[2 * ADDRESS_SIZE];
	struct slice key;

	if (t == NULL)
		done(arg, TABLE_ERROR, SLICE_EMPTY);
	else if (!key_of(user, domain, text, &key))
		done(arg, TABLE_MISSING, SLICE_EMPTY);
	else
		table_lookup(t->table, key, done, arg);
}

void shelf_ask(struct slice spec, struct slice user, struct slice domain, shelf_done *done,
	       void *arg)
{
	struct asked *a;

	if (shelf == NULL || map_get(shelf, spec) == NULL) {
		give(done, arg, ACCOUNTS_TROUBLE, "the configuration names no such users table");
		return;
	}
	a = memory_get(sizeof(*a));
	*a = (struct asked){done, arg};
	shelf_entry(spec, user, domain, found, a);
}
