/*
 * text: a message as POP3 sends it (RFC 1939 3): CRLF at the end of each line, a dot before each
 * line that begins with one, and at last a line with a dot alone. The octets of the message itself
 * are left as they are: lines of any length, and a CR that stands somewhere else.
 */
#ifndef COMMON_POP3_TEXT_H
#define COMMON_POP3_TEXT_H

#include "common/base/buffer.h"

struct pop3_text {
	bool top;	/* header and some lines alone (TOP) */
	uint32_t lines; /* of the body that are still sent */
	bool body;
	bool full;   /* TOP: all is sent that is asked for */
	bool inside; /* a line, behind its first octet */
	bool empty;  /* the line in work has no octet but perhaps a CR */
	char last;   /* octet */
};

enum { POP3_TEXT_EXTRA = 8 }; /* octets that pop3_text_add and _end put, beyond twice their input */

void pop3_text_init(struct pop3_text *t);
void pop3_text_init_top(struct pop3_text *t, uint32_t lines);
/* Content may be cut anywhere. False: out is full, and of no use. */
bool pop3_text_add(struct pop3_text *t, struct slice content, struct buffer *out);
/* That was all of it, or all that is asked for. */
bool pop3_text_end(struct pop3_text *t, struct buffer *out);

#endif
