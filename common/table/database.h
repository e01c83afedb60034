/*
 * database: the content of a table as one Berkeley DB file (btree), made at once and then only
 * read, through a descriptor: whoever reads need not be able to open anything. A file is never
 * changed in place: a new one takes its name.
 *
 * Beside the entries there is a marker that says what the file is; a file without it is not ours.
 * Every page has a checksum.
 */
#ifndef COMMON_TABLE_DATABASE_H
#define COMMON_TABLE_DATABASE_H

#include "common/base/error.h"
#include "common/table/content.h"
#include "common/table/table.h"

enum {
	DATABASE_PAGE = 4096,		       /* octets */
	DATABASE_CACHE_MIN = 1024 * 1024,      /* octets */
	DATABASE_CACHE_MAX = 64 * 1024 * 1024, /* of one open table */
	DATABASE_VERSION = 1,		       /* of the marker and what it stands for */
};

struct database;

/* Makes the file name, which must not be there, in the working directory (so that no path is
 * followed), readable by its owner alone. False with code 73 (EX_CANTCREAT). Not synced. */
bool database_make(const char *name, enum table_use use, const struct content *c, struct error *e);

/* Reads from fd, which stays the caller's and may be closed at once. False with code 65: this is no
 * database of that use, or a spoiled one; the text does not name it. */
bool database_open(int fd, enum table_use use, struct database **d, struct error *e);
struct database *database_hold(struct database *d);
void database_release(struct database **d); /* NULL is fine */
/* What an open file says that it is; false: it is no database of ours. */
bool database_use(int fd, enum table_use *use, struct error *e);

size_t database_count(const struct database *d);
/* As content_find; a value that was found is the caller's, to be freed with memory_free.
 * TABLE_ERROR once a page could not be read, from then on always. */
enum table_result database_find(struct database *d, struct slice key, bool domainless,
				struct slice *value);

#endif
