/*
 * dot: the receiving side of DATA (RFC 5321 4.1.1.4, 4.5.2): takes what arrives, cut anywhere, and
 * hands out the content without its dot-stuffing in runs as long as they come, without a copy. The
 * content ends at CRLF.CRLF and at nothing else (S1); dots are taken off at the start of a line,
 * not of a chunk (S3). Bare LF and CR are seen and passed on: the caller reads to the end and then
 * says 550 5.5.2 (S2), and it is the caller who must not keep such content.
 */
#ifndef COMMON_SMTP_DOT_H
#define COMMON_SMTP_DOT_H

#include "common/base/slice.h"
#include "common/mail/content.h"

enum dot_state {
	DOT_AT_START, /* of a line */
	DOT_IN_LINE,
	DOT_AFTER_CR,	  /* in a line; the CR is handed out */
	DOT_AFTER_DOT,	  /* line start, dot taken off */
	DOT_AFTER_DOT_CR, /* ... and a CR, which is held back */
	DOT_ENDED,
};

struct dot_reader {
	enum dot_state state;
	uint64_t octets; /* of content handed out, CRLFs counted (S14) */
	uint64_t column; /* octets of the line in work */
	struct content_flags flags;
};

void dot_reader_init(struct dot_reader *d);
/* Takes octets off *input; *run gets the next content octets, which lie in what *input was (or in
 * a constant). Call until it returns false: then *input is empty and more is needed, or
 * dot_ended(), and *input holds what follows the end: the next commands. */
bool dot_next(struct dot_reader *d, struct slice *input, struct slice *run);

static inline bool dot_ended(const struct dot_reader *d)
{
	return d->state == DOT_ENDED;
}

#endif
