/*
 * answer: what a server says, as its client reads it (RFC 5321 4.2): lines with one code, the last
 * one without a hyphen. Whatever is sent, memory and text stay bounded.
 */
#ifndef COMMON_SMTP_ANSWER_H
#define COMMON_SMTP_ANSWER_H

#include "common/base/slice.h"

enum {
	ANSWER_LINE_MAX = 2048, /* octets with the line's end; RFC 5321 4.5.3.1.5 allows 512 */
	ANSWER_LINES_MAX = 200,
	ANSWER_TEXT_MAX = 400, /* kept of all lines */
	ANSWER_ENHANCED_MAX = 12,
};

enum answer_result {
	ANSWER_MORE,	 /* no line yet */
	ANSWER_LINE,	 /* one that others follow */
	ANSWER_COMPLETE, /* the last one */
	ANSWER_BROKEN,	 /* that is no SMTP: a line or the whole is too long, or has no code */
};

/* All zero: before the first one. */
struct answer {
	unsigned code;	/* 200-599 */
	unsigned lines; /* so far */
	bool complete;	/* the next line begins another one */
	/* "5.1.1" of the first line, when it is of the code's class (RFC 2034 4); else empty. */
	char enhanced[ANSWER_ENHANCED_MAX + 1];
	/* All lines without codes, a blank between them; what is not printable ASCII is '?'. */
	size_t len;
	char text[ANSWER_TEXT_MAX + 1];
};

/* Looks for the next line in input. *line is its text as sent, without codes (but an enhanced one)
 * and line end; the caller takes *used octets off the input's front after it is done with it. A
 * bare LF ends a line too: nothing can be smuggled into a client. */
enum answer_result answer_read(struct answer *a, struct slice input, struct slice *line,
			       size_t *used);
/* The enhanced code, or the class alone ("5.0.0") when there is none; text of
 * ANSWER_ENHANCED_MAX + 1. */
void answer_enhanced(const struct answer *a, char *text);

#endif
