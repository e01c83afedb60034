/*
 * stuff: content as it is sent when it can't be sent as it lies: dots at the start of a line
 * doubled (RFC 5321 4.5.2), lines over 998 octets broken by CRLF SP (S25; RFC 5321 4.5.3.1.6), a
 * stray CR or LF made a line end (S2), and a line end at the end.
 */
#ifndef COMMON_SMTP_STUFF_H
#define COMMON_SMTP_STUFF_H

#include "common/base/buffer.h"

struct stuffer {
	bool dots;     /* for DATA; BDAT has no stuffing (S4) */
	bool whole;    /* long lines are not broken: for a server that takes them; set after init */
	bool cr;       /* the last octet was a CR, which is held back */
	size_t column; /* octets of the line in work */
};

void stuffer_init(struct stuffer *s, bool dots);
/* Content may be cut anywhere (S3). False: out is full, and of no use. */
bool stuffer_add(struct stuffer *s, struct slice content, struct buffer *out);
/* That was all of it: ends the last line, and for DATA says so (a dot alone). */
bool stuffer_end(struct stuffer *s, struct buffer *out);

#endif
