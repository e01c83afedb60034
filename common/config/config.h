/*
 * config: the configuration file, read and checked. What may stand in it is described once, in
 * schema.c; values are had by key, or as the settings records that daemons receive.
 *
 * A key is the directive's name, inside a block with the block's name before it: "spool",
 * "limits.message-size", "processes.smtpd". Strings and records live as long as the config.
 */
#ifndef COMMON_CONFIG_CONFIG_H
#define COMMON_CONFIG_CONFIG_H

#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/table/table.h"

enum {
	CONFIG_TEXT_MAX = 1024 * 1024, /* octets, the included files counted in */
	CONFIG_INCLUDE_DEPTH = 10,
	CONFIG_FAULTS_MAX = 50,
	CONFIG_PLACE_SIZE = 4200, /* "file:line:column" and a NUL */
};

struct config;

/* Reads the file and all that it includes, against the schema. False with code 66 (EX_NOINPUT: it
 * can't be read) or 78 (EX_CONFIG; text begins with file:line:column). Defaults come from this
 * machine: hostname from the kernel, origin from /etc/mailname. config_check() does the rest. */
bool config_load(const char *path, struct config **config, struct error *e);
enum config_severity { CONFIG_WARNING, CONFIG_ERROR };
/* place is "file:line:column", "file:line" (in a table) or a file; text has no final full stop. */
typedef void config_report_call(void *arg, enum config_severity severity, const char *place,
				const char *text);
/* The same; of the statements that don't fit the schema the first CONFIG_FAULTS_MAX are reported.
 * None was: the error is another one. */
bool config_load_reporting(const char *path, config_report_call *report, void *arg,
			   struct config **config, struct error *e);
/* Only what says where a server lives, `run` and `spool`; all other statements are passed over, so
 * that a file which is wrong elsewhere still leads to the server that runs. */
bool config_load_places(const char *path, struct config **config, struct error *e);
void config_free(struct config **config);

/* What this machine gives where the file says nothing. */
struct config_host {
	const char *name;	   /* for `hostname` */
	const char *mailname_path; /* its first line is `origin`; NULL or missing: hostname */
};
/* The same, with the machine described by the caller. */
bool config_load_for(const struct config_host *host, const char *path, struct config **config,
		     struct error *e);

/* The file's absolute path; the directory that relative paths in it start from. */
const char *config_path(const struct config *config);
const char *config_directory(const struct config *config);

/* The value (or the default) of a directive that has one; "" when neither is there. Paths are
 * absolute, times microseconds, sizes octets. A key that the schema lacks, or of the other kind, is
 * a bug: panic. */
const char *config_string(const struct config *config, const char *key);
uint64_t config_number(const struct config *config, const char *key);

/* Every settings record, those of one kind together, in the file's order; record NULL: all kinds,
 * in the order of settings_records. */
typedef void config_record_call(void *arg, const struct record *record, const void *value);
void config_each(const struct config *config, const struct record *record, config_record_call *call,
		 void *arg);

/* Each table once for each use, in the file's order; `any` and `system` are no tables. spec is the
 * text that the settings records hold; path is the file to open, NULL for a table without one. */
struct config_table {
	const char *spec, *path;
	enum table_use use;
};
typedef void config_table_call(void *arg, const struct config_table *table);
void config_tables(const struct config *config, config_table_call *call, void *arg);

typedef void config_text_call(void *arg, struct slice text);

/* The configuration as text that reads back to the same: all (key NULL), or the one directive;
 * changed: only what differs from its default. Pieces of text; lines end with a newline. False with
 * code 64 (EX_USAGE) when there is no such key; the text names the nearest one. */
bool config_print(const struct config *config, const char *key, bool changed,
		  config_text_call *call, void *arg, struct error *e);

/* Everything that the grammar can't tell: names, addresses, users, tables and their files. Start,
 * reload and `stagepost check` all ask this; warnings don't change the result. Returns 0, 65
 * (EX_DATAERR: only tables are bad) or 78 (EX_CONFIG). */
int config_check(const struct config *config, config_report_call *report, void *arg);

/* The files of certificates and keys: do they read, does each key fit, who else may read it, when
 * do certificates end? Commands ask this before a start or a reload, the master does not: it is to
 * have no key in its memory. Returns 0 or 65 (EX_DATAERR). */
int config_check_pairs(const struct config *config, config_report_call *report, void *arg);

/* The DIRECTIVES section of stagepost.conf(5) in mdoc, from the schema. */
void config_schema_man(config_text_call *call, void *arg);

#endif
