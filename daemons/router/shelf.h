/*
 * shelf: the tables that the configuration names (aliases, routes, patterns of outbound), each open
 * once, counted by who looks into it. A file's content arrives as a descriptor; a bad file leaves
 * the old content in use.
 */
#ifndef DAEMONS_ROUTER_SHELF_H
#define DAEMONS_ROUTER_SHELF_H

#include "common/table/table.h"

struct shelf_table {
	unsigned holders;
	enum table_use use;
	struct table *table; /* NULL: its spec is bad, every look-up errs */
	char *spec;
};

/* The table of a spec and use, opened when nobody holds it yet; held once more. */
struct shelf_table *shelf_take(struct slice spec, enum table_use use);
void shelf_release(struct shelf_table *t);
/* New content for what is held of that spec; false when no such table is held. fd stays the
 * caller's. */
bool shelf_load(struct slice spec, int fd);

#endif
