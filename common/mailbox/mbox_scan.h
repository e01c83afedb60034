/*
 * mbox_scan: finds the messages of a file in mbox format (RFC 4155), which is read once, in pieces.
 * A message begins with a line "From " at the file's start or behind an empty line, and ends before
 * the empty line that comes before the next one or the end.
 */
#ifndef COMMON_MAILBOX_MBOX_SCAN_H
#define COMMON_MAILBOX_MBOX_SCAN_H

#include "common/base/slice.h"

enum { MBOX_DIGEST_SIZE = 16 };

/* Positions are octets of the file. */
struct mbox_message {
	uint64_t start;	  /* of its From line */
	uint64_t content; /* of its header */
	uint64_t end;	  /* of its content */
	uint64_t octets;  /* of its content, with CRLF line ends */
	/* The first octets of the SHA-256 of From line and header, without the fields in which
	 * programs note what was done with it (Status and its like). */
	unsigned char digest[MBOX_DIGEST_SIZE];
	uint32_t twin; /* how many before it have the same digest; set by mbox_scan_end() */
};

struct mbox_scan;

struct mbox_scan *mbox_scan_new(size_t messages_max);
void mbox_scan_free(struct mbox_scan **s);
/* False: more than messages_max; mbox_scan_end() gives the first ones. */
bool mbox_scan_add(struct mbox_scan *s, struct slice octets);
/* The file ends here. Valid until mbox_scan_free(). */
const struct mbox_message *mbox_scan_end(struct mbox_scan *s, size_t *count);
/* For a scan that was given one message from its start on: its header has been seen whole, and has
 * this digest. */
bool mbox_scan_is(const struct mbox_scan *s, const unsigned char digest[MBOX_DIGEST_SIZE]);
/* The header of the (last) message has been seen whole. */
bool mbox_scan_header_seen(const struct mbox_scan *s);

#endif
