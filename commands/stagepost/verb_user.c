/*
 * user: passwords of users, in the tables that the configuration names. An entry is changed in the
 * text of its table; of a database the text beside it is, and the database is made of it anew.
 */
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/prompt.h"
#include "commands/stagepost/user.h"
#include "commands/stagepost/users_file.h"
#include "commands/stagepost/users_place.h"
#include "commands/stagepost/verb_table.h"
#include "commands/stagepost/words.h"

/* Entries */

static const struct {
	const char *name, *prefix; /* of crypt(3); NULL: SCRAM's keys */
} schemes[] = {{"scram-sha-256", NULL}, {"yescrypt", "$y$"}, {"sha512-crypt", "$6$"}};
enum { SCHEMES = sizeof(schemes) / sizeof(schemes[0]) };

/* -1: complained of. */
static int scheme_find(const char *name)
{
	for (int i = 0; name && i < SCHEMES; i++)
		if (strcmp(schemes[i].name, name) == 0)
			return i;
	if (!name)
		return 0;
	complain(EX_USAGE, "--scheme %s: it is scram-sha-256, yescrypt or sha512-crypt", name);
	return -1;
}

/* The entry of a password that is asked for now; EX_OK, or complains. */
static int new_entry(const struct user_order *o, const char *address, struct buffer *entry)
{
	int scheme = scheme_find(o->scheme), code;
	struct prompt p;
	struct buffer prepared;
	size_t room;
	if (scheme < 0)
		return EX_USAGE;
	code = prompt_password(&p, address, o->input, true);
	if (code != EX_OK)
		return code;
	buffer_init(&prepared, PASSWORD_MAX);
	buffer_reserve(&prepared, PASSWORD_MAX, &room); /* it never moves: no copy stays behind */
	if (!password_prepare(p.password, false, &prepared))
		code = complain(EX_DATAERR,
				"that can't be a password: it is no UTF-8, or has a character that "
				"not every program would understand alike (RFC 4013)");
	else if (!(schemes[scheme].prefix
		       ? password_make_crypt(buffer_slice(&prepared), schemes[scheme].prefix, entry)
		       : password_make_scram(buffer_slice(&prepared), PASSWORD_ITERATIONS, entry)))
		code = complain(EX_TEMPFAIL, "the password can't be hashed that way here");
	prompt_wipe(&p);
	explicit_bzero(prepared.data, prepared.size);
	buffer_free(&prepared);
	return code;
}

/* Tables */

/* The text is written; a database is made of it. */
static int finish(struct users_file *f, const struct users_table *t)
{
	int code = users_file_write(f);
	if (code == EX_OK && t->database)
		code = table_build_database(TABLE_USERS, t->text);
	return code;
}

static int open_text(struct users_file *f, const struct users_table *t, enum users_use use)
{
	if (t->text)
		return users_file_open(f, t->text, use);
	return complain(EX_USAGE, "%s has no file", t->spec);
}

/* The entry that the server would take: of the first table that knows the name, its whole address
 * before the local part alone. EX_OK: f is open, at *line of *table; EXIT_NO: there is none. */
static int find(const struct users_place *p, const struct users_name *n, struct users_file *f,
		const struct users_table **table, struct users_line *line)
{
	for (size_t i = 0; i < p->count; i++) {
		int code = open_text(f, &p->tables[i], USERS_EDIT);
		if (code != EX_OK)
			return code;
		*table = &p->tables[i];
		if (users_file_find(f, slice_str(n->address), line) ||
		    users_file_find(f, slice_str(n->local), line))
			return EX_OK;
		users_file_close(f);
	}
	return EXIT_NO;
}

static int nobody(const struct users_name *n)
{
	return complain(EXIT_NO, "there is no user %s", n->address);
}

static int add(const struct user_order *o, const struct users_name *n, const struct users_table *t,
	       struct users_file *f)
{
	struct users_line line;
	struct buffer entry;
	int code;
	if (users_file_find(f, slice_str(n->address), &line))
		return complain(EXIT_NO, "there is a user %s already", n->address);
	buffer_init(&entry, PASSWORD_ENTRY_MAX);
	code = new_entry(o, n->address, &entry);
	if (code == EX_OK) {
		users_file_add(f, slice_str(n->address), buffer_slice(&entry));
		if (!users_file_find(f, slice_str(n->address), &line))
			code = complain(EX_USAGE, "%s can't stand in a table of users", n->address);
		else
			code = finish(f, t);
	}
	buffer_free(&entry);
	return code;
}

/* What `user` does to a table begins so: which tables, and whom. */
static int begin(const struct user_order *o, struct users_place *p, struct users_name *n)
{
	int code = users_place_read(p, o->config_path, o->table);
	if (code != EX_OK)
		return code;
	code = users_name_read(n, o->name, p->origin);
	if (code != EX_OK)
		users_place_free(p);
	return code;
}

static void done(const char *what, const struct users_name *n, const struct users_table *t)
{
	words_print(stdout, slice_str(n->address));
	printf(": %s in ", what);
	words_print(stdout, slice_str(t->text));
	putchar('\n');
}

int user_add(const struct user_order *o)
{
	struct users_place p;
	struct users_name n;
	struct users_file f;
	int code = begin(o, &p, &n);
	if (code != EX_OK)
		return code;
	if (p.count > 1)
		code = complain(EX_USAGE, "there are %zu tables of passwords: say which by --table",
				p.count);
	else
		code = open_text(&f, &p.tables[0], USERS_MAKE);
	if (code == EX_OK) {
		code = add(o, &n, &p.tables[0], &f);
		users_file_close(&f);
	}
	if (code == EX_OK)
		done("added", &n, &p.tables[0]);
	users_place_free(&p);
	return code;
}

int user_passwd(const struct user_order *o)
{
	struct users_place p;
	struct users_name n;
	struct users_file f;
	struct users_line line = {0};
	const struct users_table *t = NULL;
	struct buffer entry;
	int code = begin(o, &p, &n);
	if (code != EX_OK)
		return code;
	buffer_init(&entry, PASSWORD_ENTRY_MAX);
	code = find(&p, &n, &f, &t, &line);
	if (code == EXIT_NO)
		nobody(&n);
	if (code == EX_OK) {
		code = new_entry(o, n.address, &entry);
		if (code == EX_OK) {
			users_file_set(&f, &line, buffer_slice(&entry));
			code = finish(&f, t);
		}
		users_file_close(&f);
	}
	if (code == EX_OK)
		done("new password", &n, t);
	buffer_free(&entry);
	users_place_free(&p);
	return code;
}

/* All entries that he has, in all tables: the next one would let him in. */
int user_delete(const struct user_order *o)
{
	struct users_place p;
	struct users_name n;
	struct users_file f;
	struct users_line line = {0};
	const struct users_table *t = NULL;
	bool any = false;
	int code = begin(o, &p, &n);
	if (code != EX_OK)
		return code;
	while ((code = find(&p, &n, &f, &t, &line)) == EX_OK) {
		users_file_remove(&f, &line);
		code = finish(&f, t);
		users_file_close(&f);
		if (code != EX_OK)
			break;
		any = true;
		done("deleted", &n, t);
	}
	if (code == EXIT_NO && any)
		code = EX_OK;
	else if (code == EXIT_NO)
		nobody(&n);
	users_place_free(&p);
	return code;
}

/* The command line */

enum { TAKES_TABLE = 1, TAKES_SCHEME = 2, TAKES_INPUT = 4, TAKES_JSON = 8, TAKES_NAME = 16 };

static const struct {
	const char *name;
	user_run *run;
	int takes;
	const char *arguments, *sentence;
} verbs[] = {
    {"add", user_add, TAKES_TABLE | TAKES_SCHEME | TAKES_INPUT | TAKES_NAME, "NAME",
     "a new user; asks for the password"},
    {"passwd", user_passwd, TAKES_TABLE | TAKES_SCHEME | TAKES_INPUT | TAKES_NAME, "NAME",
     "another password"},
    {"delete", user_delete, TAKES_TABLE | TAKES_NAME, "NAME", "the user can't log in any more"},
    {"list", user_list, TAKES_TABLE | TAKES_JSON, "[--json]",
     "users, and what the server knows of them"},
    {"test", user_test, TAKES_INPUT | TAKES_NAME, "NAME",
     "ask the running server whether a password holds"},
    {"block", user_block, TAKES_NAME, "NAME", "no login from now on; what waits of him is held"},
    {"unblock", user_unblock, TAKES_NAME, "NAME", "logins again; what is held stays held"},
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static int help(FILE *to, int code)
{
	fprintf(to, "usage: stagepost user VERB [options] [NAME]\n");
	for (int i = 0; i < VERBS; i++)
		fprintf(to, "  %-8s %-9s %s\n", verbs[i].name, verbs[i].arguments,
			verbs[i].sentence);
	fprintf(to, "options:\n"
		    "  --table TABLE   of several that the configuration names, this one alone\n"
		    "  --scheme NAME   how it is kept: scram-sha-256, yescrypt, sha512-crypt\n"
		    "  --stdin         the password is one line of standard input\n"
		    "NAME without a domain is one at origin.\n");
	return code;
}

/* False: complained of. */
static bool read_order(struct user_order *o, int verb, int argc, char **argv)
{
	int takes = verbs[verb].takes, i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		bool more = i + 1 < argc;
		if (takes & TAKES_TABLE && more && strcmp(argv[i], "--table") == 0)
			o->table = argv[++i];
		else if (takes & TAKES_SCHEME && more && strcmp(argv[i], "--scheme") == 0)
			o->scheme = argv[++i];
		else if (takes & TAKES_INPUT && strcmp(argv[i], "--stdin") == 0)
			o->input = true;
		else if (takes & TAKES_JSON && strcmp(argv[i], "--json") == 0)
			o->json = true;
		else {
			complain(EX_USAGE, "user %s: %s is not known here", verbs[verb].name,
				 argv[i]);
			return false;
		}
	}
	if (takes & TAKES_NAME && i + 1 == argc) {
		o->name = argv[i];
		return true;
	}
	if (!(takes & TAKES_NAME) && i == argc)
		return true;
	complain(EX_USAGE, "usage: stagepost user %s [options]%s; a password is never an argument",
		 verbs[verb].name, takes & TAKES_NAME ? " NAME" : "");
	return false;
}

int verb_user(const char *config_path, int argc, char **argv)
{
	struct user_order o = {.config_path = config_path};
	if (argc < 2)
		return help(stderr, EX_USAGE);
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return help(stdout, EX_OK);
	for (int i = 0; i < VERBS; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return read_order(&o, i, argc - 1, argv + 1) ? verbs[i].run(&o) : EX_USAGE;
	return complain(EX_USAGE, "there is no verb user %s; stagepost user help lists them",
			argv[1]);
}
