/*
 * bdat: content in chunks of announced size (RFC 3030): takes what arrives, cut anywhere, and hands
 * it out in runs without a copy. Dots are content; a line, and the CR and LF that end it, may lie
 * in two chunks; the last chunk may end without CRLF (S4). Bare LF and CR are seen and passed on,
 * as by dot.
 */
#ifndef COMMON_SMTP_BDAT_H
#define COMMON_SMTP_BDAT_H

#include "common/base/slice.h"
#include "common/mail/content.h"
#include "common/smtp/reply.h"

struct bdat_command {
	uint64_t size; /* octets of the chunk that follows the command's CRLF */
	bool last;     /* of the message */
};

/* argument: "1000" or "0 LAST". false with why, 521 5.5.4: nobody knows how many octets follow, and
 * taken for commands they could be anything, so the connection must end (S5). */
bool bdat_parse(struct slice argument, struct bdat_command *c, struct refusal *why);

/* Zero-initialised for each message. */
struct bdat_reader {
	uint64_t left;	 /* octets of the chunk that have not come yet */
	uint64_t octets; /* of content handed out, of all chunks */
	uint64_t column; /* octets of the line in work */
	char before;	 /* the last octet that was handed out */
	struct content_flags flags;
};

void bdat_chunk(struct bdat_reader *b, uint64_t size);
/* Takes octets off *input, at most to the end of the chunk; *run points to them. false: the chunk
 * has ended (left is 0: what is in *input are commands), or *input is empty. */
bool bdat_next(struct bdat_reader *b, struct slice *input, struct slice *run);
/* The same for a chunk that nobody wants: nothing is looked at or counted. */
void bdat_skip(struct bdat_reader *b, struct slice *input);
/* The last chunk has ended: the flags are complete. */
void bdat_finish(struct bdat_reader *b);

#endif
