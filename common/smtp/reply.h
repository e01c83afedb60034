/*
 * reply: what a server says. Whatever the text holds, a reply stays one line of at most 512 octets
 * with its CRLF (RFC 5321 4.5.3.1.5): octets outside 32-126 become '?', the rest is cut.
 */
#ifndef COMMON_SMTP_REPLY_H
#define COMMON_SMTP_REPLY_H

#include "common/base/buffer.h"

enum { REPLY_LINE_MAX = 512 };

/* Why a command is refused; texts are constants. */
struct refusal {
	unsigned code;	      /* 501 */
	const char *enhanced; /* "5.5.4"; RFC 3463 */
	const char *text;
};

/* Sets *why (may be NULL) and returns false. */
bool refuse(struct refusal *why, unsigned code, const char *enhanced, const char *text);

/* Appends the last (or only) line of a reply: "250 2.0.0 text". enhanced NULL: none, as in
 * greeting, HELO and EHLO (RFC 2034 4). false, with nothing appended: out is full. */
bool reply_write(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends a line that others follow: "250-2.0.0 text". */
bool reply_more(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* One line like reply_write's, of a text that is ready, into line; its length. */
size_t reply_line(char line[REPLY_LINE_MAX], unsigned code, const char *enhanced,
		  struct slice text);
bool reply_refusal(struct buffer *out, const struct refusal *why);

#endif
