/*
 * reader: a table's text, line by line, and what is said about its lines. One read_ function for
 * each use turns the lines into content.
 */
#ifndef COMMON_TABLE_READER_H
#define COMMON_TABLE_READER_H

#include "common/table/content.h"
#include "common/table/table.h"

enum {
	READER_NAME_MAX = 160, /* octets of a path in messages; of a longer one the end is shown */
	READER_TEXT_SIZE = ERROR_TEXT_SIZE,
};

struct reader {
	const char *name; /* of the file, for messages */
	struct slice rest;
	unsigned line; /* number of the line given last, from 1 */
	unsigned bad;  /* bad lines so far */
	table_report *report;
	void *arg;
	struct error *e; /* gets the first bad line */
	struct content *content;
};

/* The next line that is neither empty nor a comment, without blanks at its end; false: the end, or
 * too many bad lines. Lines over TABLE_LINE_MAX or with a NUL are reported and passed over. */
bool reader_line(struct reader *r, struct slice *line);
/* The same, but looks only whether that line begins with a blank: it continues the former. */
bool reader_continues(const struct reader *r);
void reader_bad(struct reader *r, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reader_warn(struct reader *r, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the entry; an entry that is there twice is warned of, a full table is bad. */
void reader_add(struct reader *r, unsigned line, struct slice key, struct slice value);

void read_aliases(struct reader *r);
void read_users(struct reader *r);
void read_plain(struct reader *r);
void read_routes(struct reader *r);

struct buffer;
/* The look-up key of an entry's name, appended to key: NAME, ADDRESS or, where catch_all, @DOMAIN.
 * NULL, or what is wrong with it. */
const char *reader_key(struct slice name, bool catch_all, struct buffer *key);
/* Appends the items of an alias' right side, separated by `separator` outside quotes, in the form
 * that table_alias_next reads. NULL, or what is wrong; *item is then the bad item. unsupported is
 * set to the last item that is no address (else it is left). */
const char *alias_items(struct slice text, char separator, struct buffer *value, struct slice *item,
			struct slice *unsupported);
/* Appends the canonical value of a route. NULL, or what is wrong. */
const char *route_value(struct slice text, struct buffer *value);
/* Appends the folded key of a plain entry. NULL, or what is wrong. */
const char *plain_key(struct slice word, struct buffer *key);

#endif
