/*
 * text: the configuration's grammar, with no knowledge of any directive. Tree of statements in
 * memory that the caller's arena owns.
 *
 *	file = {statement}    statement = NAME {value} [ '{' {statement} '}' ] END
 *
 * END is a newline, ';' or the '}' that follows. A value is a bare word or "quoted" (\" and \\).
 * '#' starts a comment at the start of a word; '\' at a line's end joins it with the next.
 * `include FILE` puts that file's statements in its place; FILE is relative to the including file.
 */
#ifndef COMMON_CONFIG_TEXT_H
#define COMMON_CONFIG_TEXT_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/base/error.h"

enum {
	TEXT_WORD_MAX = 4096,	/* octets */
	TEXT_VALUES_MAX = 4096, /* of one statement */
	TEXT_NESTING_MAX = 8,	/* blocks in blocks */
};

struct text_place {
	const char *file;      /* as it was opened; NUL-terminated, in the arena */
	unsigned line, column; /* from 1; the column counts octets */
};

struct text_value {
	struct slice text; /* NUL-terminated too */
	struct text_place place;
};

TAILQ_HEAD(text_list, text_statement);
struct text_statement {
	TAILQ_ENTRY(text_statement) link;
	struct text_value name;
	struct text_value *values;
	size_t value_count;
	bool has_block;
	struct text_list block;
};

/* Gives a file's text, which must live as long as the arena; false: code 66 or 78. */
typedef bool text_read(void *arg, const char *path, struct slice *text, struct error *e);

struct text_source {
	text_read *read;
	void *arg;
	struct arena *arena;
};

/* The file and what it includes, appended to list. False with code 66 (the file itself can't be
 * read) or 78, text "file:line:column: ...". */
bool text_parse(const struct text_source *source, const char *path, struct text_list *list,
		struct error *e);

/* error_set with code 78 and "file:line:column: " before the text. */
bool text_error(struct error *e, struct text_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* dir/name, or name when it is absolute, in the arena; dir is that of the file `base`. NULL: the
 * arena is full. */
const char *text_path(struct arena *a, const char *base, struct slice name);

#endif
