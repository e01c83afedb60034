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
	const char *rest; /* of spec, behind KIND: */
	/* of file and static; NULL: not loaded */
	struct content *content;
};

struct table_kind {
	const char *name;
	bool has_file; /* the rest of the spec is a path, and content is loaded */
	/* Looks at t->rest; false with code 78 (EX_CONFIG). */
	bool (*open)(struct table *t, struct error *e);
	void (*lookup)(struct table *t, struct slice key, table_done *done, void *arg);
};

extern const struct table_kind table_kind_file, table_kind_static;

/* The look-up of those that hold their content in memory. */
void table_content_lookup(struct table *t, struct slice key, table_done *done, void *arg);

#endif
