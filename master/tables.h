/*
 * tables: the files of look-up tables, opened as root, watched, and passed again when they change.
 */
#ifndef MASTER_TABLES_H
#define MASTER_TABLES_H

#include "common/base/error.h"
#include "common/config/config.h"

struct tables;

/* Opens every file that the configuration names. code 66 (EX_NOINPUT): one can't be opened. */
bool tables_open(const struct config *config, struct tables **t, struct error *e);
void tables_free(struct tables **t);

/* A table's file: fd stays the tables'. */
typedef void tables_call(void *arg, enum table_use use, const char *spec, int fd);
void tables_each(const struct tables *t, tables_call *call, void *arg);
/* Looks at every path; call gets those whose file is another or was changed since, at the second
 * look that finds it the same, at the third at the latest. A file that has gone keeps its old
 * content, and is named once in the log. */
void tables_look(struct tables *t, tables_call *call, void *arg);

#endif
