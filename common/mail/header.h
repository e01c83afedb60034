/*
 * header: the header block of a message as raw octets. Nothing is changed or decoded: a field is a
 * slice of the block, with its folds and its CRLF. Line ends are CRLF alone here (the content has
 * passed smtp/dot).
 *
 * A field is a line `name:` with name of 33-126 but ':', blanks allowed before the colon (RFC 5322
 * 4.5.8), and the lines behind it that begin with a blank. Lines `From ` or `>From ` (any number of
 * '>') at the very front count as fields X-Mailbox-Line (S20).
 */
#ifndef COMMON_MAIL_HEADER_H
#define COMMON_MAIL_HEADER_H

#include "common/base/buffer.h"
#include "common/base/slice.h"

enum { HEADER_LIMIT = 256 * 1024 }; /* of a header block that is kept in memory */

enum header_end {
	HEADER_MORE,	    /* not there yet */
	HEADER_BLANK_LINE,  /* an empty line, which belongs neither to header nor body */
	HEADER_NOT_A_FIELD, /* the body begins without an empty line: one is to be put in between */
	HEADER_NO_BODY,	    /* the content ended within the header, without an empty line */
};

/* Finds the header's end in content that arrives in pieces. Zero-initialised. */
struct header_scan {
	enum header_end end;
	size_t header; /* length of the header block; complete when end is not HEADER_MORE */
	size_t body;   /* where the body begins */
	size_t looked; /* octets of the line in work that need no second look */
	bool in_field; /* a line that begins with a blank would go on */
	bool begun;    /* a field was seen: no From line any more */
};

/* content: all octets from the message's first on, as far as they are there; on each call the same
 * ones and more. What lies before scan->header is known to be header. */
enum header_end header_scan(struct header_scan *scan, struct slice content);
/* The content is complete: says where the header ends, never HEADER_MORE. */
enum header_end header_scan_finish(struct header_scan *scan, struct slice content);

struct header_field {
	struct slice raw;   /* all its lines, with the last CRLF */
	struct slice name;  /* as written; X-Mailbox-Line for a From line */
	struct slice value; /* behind the colon, blanks cut at both ends, folds kept */
	bool from_line;	    /* raw lacks its name: write header_mailbox_line before it */
};

extern const struct slice header_mailbox_line; /* "X-Mailbox-Line: " */

/* Is this line the first of a field? Its name, without blanks. */
bool header_field_name(struct slice line, struct slice *name);
/* Takes the next field off *block; false at its end or at a line that is no field. */
bool header_next(struct slice *block, struct header_field *f);
/* The first field of that name (letters folded). */
bool header_find(struct slice block, struct slice name, struct header_field *f);
/* How many; Received fields are the hops (RFC 5321 6.3). */
size_t header_count(struct slice block, struct slice name);
/* The block without the fields of these names, From lines renamed, into out; false: out is full. */
bool header_remove(struct slice block, const struct slice *names, size_t count, struct buffer *out);
/* Splits a whole message (as local and bounce read it). */
enum header_end header_split(struct slice message, struct slice *header, struct slice *body);

#endif
