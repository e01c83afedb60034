/*
 * table: a text file becomes a database, and what is in a table. A database is made in a directory
 * of its own beside the text file, synced, and only then takes its name: whoever has the old one
 * open goes on with it, and a crash leaves the old one, or the new one whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "commands/stagepost/landing.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/verb_table.h"
#include "commands/stagepost/words.h"
#include "common/os/disk.h"
#include "common/table/reader.h"

static void print_line(void *arg, bool warning, const char *text)
{
	(void)arg;
	words_print(stderr, slice_str(text));
	fputs(warning ? " (warning)\n" : "\n", stderr);
}

static int failed(const char *path)
{
	int code = errno == EACCES || errno == EPERM ? EX_NOPERM : EX_DATAERR;
	return complain(code, "%s: %s", path, strerror(errno));
}

/* Building */

struct building {
	const char *path;	      /* of the text, as it was given */
	char name[LANDING_NAME_SIZE]; /* its last part */
	char target[LANDING_NAME_SIZE];
	int directory;
	struct stat text; /* who owns the text, and who may read it */
	struct table *table;
};

static int load_text(struct building *b, enum table_use use)
{
	struct error e = {0};
	char spec[TABLE_SPEC_MAX + 1];
	int code = EX_OK;
	int fd = disk_open(b->directory, b->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return failed(b->path);
	snprintf(spec, sizeof(spec), "file:%s", b->path);
	if (disk_stat(fd, &b->text) != 0)
		code = failed(b->path);
	else if (!S_ISREG(b->text.st_mode))
		code = complain(EX_DATAERR, "%s: it is no ordinary file", b->path);
	else if (!table_open(spec, use, &b->table, &e))
		code = complain(EX_DATAERR, "%s", e.text);
	else if (!table_load_fd(b->table, fd, print_line, NULL, &e))
		code = complain(EX_DATAERR, "%s is bad; nothing was changed", b->path);
	disk_close(fd);
	return code;
}

/* The mode and the group of the database that is replaced when it is the text's owner's, else of
 * the text: who put another one there may not have the right to read the text. */
static bool take_owner(struct building *b, int fd)
{
	struct stat st = b->text, old, own;
	if (disk_stat_at(b->directory, b->target, &old) == 0 && S_ISREG(old.st_mode) &&
	    old.st_uid == b->text.st_uid)
		st = old;
	mode_t mode = st.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
	if (disk_stat(fd, &own) != 0)
		return false;
	if ((own.st_uid != st.st_uid || own.st_gid != st.st_gid) &&
	    disk_chown(fd, st.st_uid, st.st_gid) != 0) {
		if (geteuid() == 0)
			return false;
		mode &= S_IRUSR | S_IWUSR | S_IROTH; /* the group is another one */
	}
	return disk_chmod(fd, mode) == 0;
}

/* In the new directory, which is the working directory too. */
static int make_database(struct building *b, int made)
{
	static const char name[] = "table.db";
	struct error e = {0};
	if (!table_write_database(b->table, name, &e))
		return complain(EX_TEMPFAIL, "%s: %s", b->target, e.text);
	int fd = disk_open(made, name, O_RDONLY | O_NOFOLLOW, 0);
	bool good = fd >= 0 && take_owner(b, fd) && disk_fsync(fd) == 0 &&
		    disk_rename(made, name, b->directory, b->target) == 0 &&
		    disk_fsync_dir(b->directory) == 0;
	int code = good ? EX_OK : failed(b->target);
	if (fd >= 0)
		disk_close(fd);
	if (!good)
		disk_unlink(made, name);
	return code;
}

/* A directory that nobody else can have put there, and nobody else can write to. */
static int open_own(const struct building *b, const char *name)
{
	struct stat st;
	if (disk_mkdir(b->directory, name, S_IRWXU) != 0)
		return -1;
	int fd = disk_open(b->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd >= 0 && (disk_stat(fd, &st) != 0 || st.st_uid != geteuid() ||
			(st.st_mode & (S_IRWXG | S_IRWXO)))) {
		disk_close(fd);
		errno = EPERM;
		fd = -1;
	}
	return fd;
}

static int replace(struct building *b)
{
	char name[LANDING_NAME_SIZE + 16];
	snprintf(name, sizeof(name), ".%.200s.%08x", b->target, arc4random());
	int here = disk_open(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
	int made = open_own(b, name);
	int code;
	if (made < 0 || here < 0 || fchdir(made) != 0)
		code = failed(name);
	else
		code = make_database(b, made);
	if (here >= 0) {
		if (fchdir(here) != 0) /* it may have gone; nothing is done there any more */
			(void)!chdir("/");
		disk_close(here);
	}
	if (made >= 0)
		disk_close(made);
	disk_rmdir(b->directory, name);
	return code;
}

int table_build_database(enum table_use use, const char *path)
{
	struct building b = {.path = path};
	struct error e = {0};
	int code;
	b.directory = landing_open(path, b.name, &e);
	if (b.directory < 0)
		return complain(e.code, "%s: %s", path, e.text);
	if (snprintf(b.target, sizeof(b.target), "%s.db", b.name) >= (int)sizeof(b.target))
		code = complain(EX_DATAERR, "%s: %s", path, strerror(ENAMETOOLONG));
	else
		code = load_text(&b, use);
	if (code == EX_OK)
		code = replace(&b);
	if (code == EX_OK) {
		words_print(stdout, slice_str(path));
		printf(".db: %zu entries\n", table_count(b.table));
	}
	table_free(&b.table);
	disk_close(b.directory);
	return code;
}

static int table_build(int argc, char **argv)
{
	enum table_use use;
	if (argc != 3 || argv[1][0] == '-' || argv[2][0] == '-')
		return complain(EX_USAGE, "table build aliases|users|plain|routes FILE");
	if (!table_use_find(slice_str(argv[1]), &use))
		return complain(EX_USAGE,
				"table build: `%s`; what is in the file: aliases, users, "
				"plain or routes",
				argv[1]);
	const char *path = table_spec_path(argv[2]);
	return table_build_database(use, path ? path : argv[2]);
}

/* Getting */

struct wanted {
	const char *spec;
	enum table_use use;
	bool known;
};

static void note_use(void *arg, const struct config_table *table)
{
	struct wanted *w = arg;
	if (!w->known && strcmp(table->spec, w->spec) == 0) {
		w->use = table->use;
		w->known = true;
	}
}

/* What a table is for that does not say it itself. */
static bool configured_use(const char *config_path, const char *spec, enum table_use *use)
{
	struct config *config;
	struct error e;
	struct wanted w = {.spec = spec};
	if (!config_load(config_path, &config, &e))
		return false;
	config_tables(config, note_use, &w);
	config_free(&config);
	*use = w.use;
	return w.known;
}

static void print_value(void *arg, enum table_result result, struct slice value)
{
	struct wanted *w = arg;
	struct table_alias item;
	w->known = result == TABLE_FOUND;
	if (!w->known)
		return;
	if (w->use != TABLE_ALIASES) {
		words_print(stdout, value);
		putchar('\n');
		return;
	}
	while (table_alias_next(&value, &item)) {
		static const char *const marks[] = {
		    [TABLE_ALIAS_ADDRESS] = "",
		    [TABLE_ALIAS_COMMAND] = "|",
		    [TABLE_ALIAS_FILE] = "",
		    [TABLE_ALIAS_INCLUDE] = ":include:",
		};
		fputs(marks[item.kind], stdout);
		words_print(stdout, item.text);
		putchar('\n');
	}
}

static int look_up(struct table *t, enum table_use use, const char *text)
{
	struct buffer key;
	struct wanted w = {.use = use};
	int code;
	buffer_init(&key, TABLE_SPEC_MAX);
	const char *fault = use == TABLE_PLAIN ? plain_key(slice_str(text), &key)
					       : reader_key(slice_str(text), true, &key);
	if (fault) {
		code = complain(EX_USAGE, "`%s`: %s", text, fault);
	} else {
		table_lookup(t, buffer_slice(&key), print_value, &w);
		code = w.known ? EX_OK : EXIT_NO;
	}
	buffer_free(&key);
	return code;
}

/* A table's file: opened, and for a database asked what it is for. */
static int open_file(const char *path, bool database, enum table_use *use, bool *known, int *fd)
{
	struct error e = {0};
	struct stat st;
	*fd = disk_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (*fd < 0 || disk_stat(*fd, &st) != 0)
		return failed(path);
	if (!S_ISREG(st.st_mode))
		return complain(EX_DATAERR, "%s: it is no ordinary file", path);
	if (!database || *known)
		return EX_OK;
	*known = table_database_use(*fd, use, &e);
	return *known ? EX_OK : complain(e.code, "%s: %s", path, e.text);
}

static int get(const char *config_path, const char *spec, enum table_use use, bool known,
	       const char *key)
{
	const char *path = table_spec_path(spec);
	struct table *t = NULL;
	struct error e = {0};
	int fd = -1, code = EX_OK;
	if (path)
		code =
		    open_file(path, slice_starts(slice_str(spec), SLICE("db:")), &use, &known, &fd);
	if (code == EX_OK && !known && !configured_use(config_path, spec, &use))
		code = complain(EX_USAGE,
				"what is in %s? The configuration does not name it: "
				"table get aliases|users|plain|routes %s KEY",
				spec, spec);
	if (code == EX_OK && !table_open(spec, use, &t, &e))
		code = complain(EX_DATAERR, "%s", e.text);
	if (code == EX_OK && path && !table_load_fd(t, fd, print_line, NULL, &e))
		code = EX_DATAERR;
	if (code == EX_OK)
		code = look_up(t, use, key);
	table_free(&t);
	if (fd >= 0)
		disk_close(fd);
	return code;
}

static int table_get(const char *config_path, int argc, char **argv)
{
	enum table_use use = TABLE_PLAIN;
	bool known = argc == 4;
	if ((argc != 3 && argc != 4) || argv[1][0] == '-')
		return complain(EX_USAGE, "table get [aliases|users|plain|routes] KIND:PATH KEY");
	if (known && !table_use_find(slice_str(argv[1]), &use))
		return complain(EX_USAGE,
				"table get: `%s`; what is in the table: aliases, users, "
				"plain or routes",
				argv[1]);
	const char *given = argv[argc - 2];
	char spec[TABLE_SPEC_MAX + 8];
	if (snprintf(spec, sizeof(spec), "%s%s", given, table_spec_suffix(given)) >=
	    (int)sizeof(spec))
		return complain(EX_USAGE, "table get: the path is too long");
	return get(config_path, spec, use, known, argv[argc - 1]);
}

int verb_table(const char *config_path, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "build") == 0)
		return table_build(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "get") == 0)
		return table_get(config_path, argc - 1, argv + 1);
	return complain(EX_USAGE, "table build aliases|users|plain|routes FILE, or table get "
				  "KIND:PATH KEY");
}
