/*
 * kind: what a kind of table does. A kind is a file kind_X.c with one struct table_kind.
 */
#ifndef COMMON_TABLE_KIND_H
#define COMMON_TABLE_KIND_H

#include "common/table/content.h"
#include "common/table/table.h"

struct table {
	const struct table_kind *kind;
	enum table_use use;
	char *spec;
	const char *rest;	   /* of spec, behind KIND: */
	struct content *content;   /* of file and static; NULL: not loaded */
	struct database *database; /* of db; the same */
	bool told;		   /* of db: that it is spoiled */
};

struct table_kind {
	const char *name;
	const char *suffix; /* of the file's name, added where the spec lacks it; NULL: none */
	bool has_file;	    /* the rest of the spec is a path, and content is loaded */
	/* Looks at t->rest; false with code 78 (EX_CONFIG). */
	bool (*open)(struct table *t, struct error *e);
	/* As table_load_fd; NULL: the file is text of the use's format. */
	bool (*load)(struct table *t, int fd, table_report *report, void *arg, struct error *e);
	bool (*loaded)(const struct table *t);
	size_t (*count)(const struct table *t);
	void (*free)(struct table *t);
	void (*lookup)(struct table *t, struct slice key, table_done *done, void *arg);
};

extern const struct table_kind table_kind_file, table_kind_db, table_kind_static;

/* Of those that hold their content in memory. */
bool table_content_loaded(const struct table *t);
size_t table_content_count(const struct table *t);
void table_content_free(struct table *t);
void table_content_lookup(struct table *t, struct slice key, table_done *done, void *arg);

#endif
