/*
 * table: look-ups behind one small asynchronous face, a file per kind.
 *
 * A spec is KIND:REST. Kinds:
 *	file:PATH		a text file; its format goes by the table's use (table_use)
 *	db:PATH			a database that was built from such a file; its name ends in .db
 *	static:KEY=VALUE,KEY	the entries themselves; blanks in VALUE separate what the list of
 *				an alias would separate by commas
 *
 * Keys are canonical addresses (address_key: ASCII lower case), or names without a domain, or
 * "@domain". An entry without a domain answers for every domain: the look-up of local@domain takes
 * local@domain, else local. "@domain" is found only when asked for. The keys of TABLE_PLAIN are any
 * words in lower case, and each stands for itself.
 */
#ifndef COMMON_TABLE_TABLE_H
#define COMMON_TABLE_TABLE_H

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
	TABLE_SPEC_MAX = 4096,
	TABLE_LINE_MAX = 1024 * 1024,	    /* octets; an alias with its continuation lines */
	TABLE_FILE_MAX = 256 * 1024 * 1024, /* octets */
	TABLE_ENTRIES_MAX = 4 * 1024 * 1024,
	TABLE_BAD_LINES_MAX = 20, /* reported of one file, then the rest is not read */
};

enum table_use {
	TABLE_ALIASES, /* NAME: a, "|command" ...; lines that begin with a blank go on */
	TABLE_USERS,   /* ADDRESS:{SCHEME}HASH:UID:GID::HOME::EXTRA, as Dovecot's passwd-file */
	TABLE_PLAIN,   /* KEY VALUE, or KEY alone; any words, found exactly as they stand */
	TABLE_ROUTES,  /* KEY smtp:[NEXT-HOP] or KEY local; values are canonical (next_hop.h), but
			  what is behind lmtp: is as written, and not supported */
	TABLE_USE_COUNT
};

/* "aliases", "users", "plain", "routes". */
const char *table_use_word(enum table_use use);
bool table_use_find(struct slice word, enum table_use *use);

struct table;

/* Reads nothing yet: a file table answers TABLE_ERROR until its first good load. False: the spec is
 * bad (code 78, EX_CONFIG). */
bool table_open(const char *spec, enum table_use use, struct table **t, struct error *e);
void table_free(struct table **t);
const char *table_spec(const struct table *t);
/* The file of a spec: the text behind "file:" or "db:"; NULL when that kind has none. */
const char *table_spec_path(const char *spec);
/* What the spec's path lacks: ".db", or "". */
const char *table_spec_suffix(const char *spec);

/* One line of a file that is bad, or (warning) that is taken but not all usable. text begins with
 * path:line. */
typedef void table_report(void *arg, bool warning, const char *text);

/* New content from an open file (read from its start; the descriptor stays the caller's). Good: it
 * replaces the old at once. Bad: the old stays, false, code 65 (EX_DATAERR), text "path:line: ...";
 * report (may be NULL) hears every bad line. A look-up that is under way keeps its answer. Not for
 * kinds without a file: panic. */
bool table_load_fd(struct table *t, int fd, table_report *report, void *arg, struct error *e);
/* The same from memory. */
bool table_load_text(struct table *t, struct slice text, table_report *report, void *arg,
		     struct error *e);
/* The content of a loaded file table as a database, a new file in the working directory; not
 * synced. False with code 73 (EX_CANTCREAT). */
bool table_write_database(const struct table *t, const char *name, struct error *e);
/* What an open database was built for; false with code 65 (EX_DATAERR): it is none. */
bool table_database_use(int fd, enum table_use *use, struct error *e);
bool table_loaded(const struct table *t);
size_t table_count(const struct table *t); /* entries */

/* Walks over all entries, in no order; false: they are not in memory (db:, or nothing is loaded).
 */
typedef void table_entry_call(void *arg, struct slice key, struct slice value);
bool table_each(const struct table *t, table_entry_call *call, void *arg);

enum table_result {
	TABLE_FOUND,
	TABLE_MISSING, /* a definite no */
	TABLE_ERROR,   /* not known now: answer with a temporary failure */
};
/* value lives until done returns. */
typedef void table_done(void *arg, enum table_result result, struct slice value);
/* Answers once, before this returns or later. key: folded, see above; copied when needed. */
void table_lookup(struct table *t, struct slice key, table_done *done, void *arg);

enum table_alias_kind {
	TABLE_ALIAS_ADDRESS, /* canonical; may lack a domain */
	TABLE_ALIAS_COMMAND, /* |command, without the bar: not supported */
	TABLE_ALIAS_FILE,    /* /file: not supported */
	TABLE_ALIAS_INCLUDE, /* :include:/file, the path: not supported */
};
struct table_alias {
	enum table_alias_kind kind;
	struct slice text;
};
/* Takes the next item off the value of an alias; false: none left. */
bool table_alias_next(struct slice *value, struct table_alias *item);

/* The fields of a user's value; what is missing is empty. */
struct table_user {
	struct slice password; /* {SCHEME}HASH or as Dovecot's default scheme */
	struct slice uid, gid, home, extra;
};
void table_user_read(struct slice value, struct table_user *user);

#endif
