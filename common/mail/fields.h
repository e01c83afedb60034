/*
 * fields: a header block as a list that can be edited until the commit: fields that were received
 * are slices of the block, which must live as long as the list; added ones are the list's own.
 */
#ifndef COMMON_MAIL_FIELDS_H
#define COMMON_MAIL_FIELDS_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/mail/header.h"

enum {
	FIELDS_MAX = 65536, /* fields in a list: more than a HEADER_LIMIT of the shortest holds */
	FIELDS_OWN_MAX = 64 * 1024, /* octets of added fields */
};

struct fields {
	struct field *list; /* in order */
	size_t count, size;
	size_t octets; /* of all fields as they will be written */
	struct arena own;
};

struct field {
	struct slice raw; /* with the last CRLF */
	size_t name_len;  /* raw begins with its name */
};

void fields_init(struct fields *l);
void fields_free(struct fields *l);
/* Appends the fields of a block, From lines renamed; false: over a limit. */
bool fields_read(struct fields *l, struct slice block);
/* A field with its CRLF, which is copied; false at the limits or when it is no single field. */
bool fields_add_front(struct fields *l, struct slice raw);
bool fields_add_back(struct fields *l, struct slice raw);
/* Takes out all of that name (letters folded); how many. */
size_t fields_remove(struct fields *l, struct slice name);
const struct field *fields_find(const struct fields *l, struct slice name); /* NULL: none */
size_t fields_count(const struct fields *l, struct slice name);
bool fields_write(const struct fields *l, struct buffer *out); /* false: out is full */

#endif
