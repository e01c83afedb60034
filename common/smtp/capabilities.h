/*
 * capabilities: what a server offers in its reply to EHLO (RFC 5321 4.1.1.1).
 */
#ifndef COMMON_SMTP_CAPABILITIES_H
#define COMMON_SMTP_CAPABILITIES_H

#include "common/base/slice.h"

enum extension {
	OFFERS_PIPELINING = 1 << 0, /* RFC 2920 */
	OFFERS_SIZE = 1 << 1,	    /* RFC 1870 */
	OFFERS_8BITMIME = 1 << 2,   /* RFC 6152 */
	OFFERS_CHUNKING = 1 << 3,   /* RFC 3030 */
	OFFERS_SMTPUTF8 = 1 << 4,   /* RFC 6531 */
	OFFERS_DSN = 1 << 5,	    /* RFC 3461 */
	OFFERS_STARTTLS = 1 << 6,   /* RFC 3207 */
};

enum { CAPABILITIES_NAME_SIZE = 256 };

/* All zero: nothing is known. */
struct capabilities {
	unsigned offered;		   /* of enum extension */
	uint64_t size_limit;		   /* octets of a message; 0: none was said */
	char name[CAPABILITIES_NAME_SIZE]; /* what it calls itself; empty: does not fit */
};

/* The text of the reply's line, number from 1. Unknown words are none of our business. */
void capabilities_line(struct capabilities *c, unsigned number, struct slice line);

#endif
