/*
 * content: the entries of one loaded table, read only once they are all in: an arena with the
 * octets and a map into it. Counted holders, so that a look-up may go on while new content
 * replaces this.
 */
#ifndef COMMON_TABLE_CONTENT_H
#define COMMON_TABLE_CONTENT_H

#include "common/base/slice.h"

enum { CONTENT_MAX = 1024 * 1024 * 1024 }; /* octets of keys, values and their upkeep */

struct content;

struct content *content_new(void); /* held once */
struct content *content_hold(struct content *c);
void content_release(struct content **c); /* NULL is fine */

enum content_added {
	CONTENT_ADDED,
	CONTENT_TWICE, /* the key is there; the first entry stays */
	CONTENT_FULL,  /* TABLE_ENTRIES_MAX or CONTENT_MAX */
};
/* Copies both. */
enum content_added content_add(struct content *c, struct slice key, struct slice value);
size_t content_count(const struct content *c);
/* Walk in no order: *at starts at 0; false at the end. */
bool content_next(const struct content *c, size_t *at, struct slice *key, struct slice *value);
/* The key itself, else (domainless), when it is local@domain, the entry of local. */
bool content_find(const struct content *c, struct slice key, bool domainless, struct slice *value);

#endif
