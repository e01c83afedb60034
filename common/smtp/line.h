/*
 * line: the only judge of where a command line ends: CRLF, and nothing else (RFC 5321 2.3.8). A
 * line with a bare LF or CR, or over the limit, is told at once, once, and thrown away up to its
 * CRLF: one reply a line, always in step, and nothing behind a bare LF can be taken for a command
 * (S16).
 */
#ifndef COMMON_SMTP_LINE_H
#define COMMON_SMTP_LINE_H

#include "common/base/slice.h"

enum { LINE_COMMAND_MAX = 2048 }; /* octets with CRLF; RFC 5321 4.5.3.1.4 asks for 512 */

enum line_result {
	LINE_MORE,     /* no line yet */
	LINE_COMPLETE, /* *line is one, without its CRLF */
	/* The rest of these will be skipped; *line is what came before that was found. */
	LINE_TOO_LONG, /* reply 500 5.5.2 */
	LINE_BARE_LF,  /* reply 550 5.5.2 */
	LINE_BARE_CR,
};

struct line_reader {
	size_t limit;  /* LINE_COMMAND_MAX */
	size_t looked; /* octets at the input's front that need no second look */
	bool skipping; /* throwing away up to CRLF */
	bool cr;       /* while skipping: the last octet was CR */
};

void line_reader_init(struct line_reader *r, size_t limit);
/* Looks for the next line in input. The caller takes *used octets off the input's front after the
 * call (for LINE_COMPLETE after it is done with *line) and gives what is left, with more, again.
 * Never needs more than `limit` octets of input at once. */
enum line_result line_next(struct line_reader *r, struct slice input, struct slice *line,
			   size_t *used);

#endif
