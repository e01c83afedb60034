/*
 * completion: what a receiver wants to know of a header block, found in one walk, and what it adds
 * to the mail of its own clients: mail that enters the world here (RFC 6409 8, S57). Strangers'
 * headers are never completed.
 */
#ifndef COMMON_MAIL_COMPLETION_H
#define COMMON_MAIL_COMPLETION_H

#include "common/base/buffer.h"
#include "common/base/slice.h"

struct header_look {
	unsigned received;    /* fields: the hops (RFC 5321 6.3) */
	bool date, from, bcc; /* there is such a field; bcc: or Resent-Bcc */
	bool message_id;
	bool from_line;		       /* it begins with a line `From ` (S20) */
	struct slice message_id_value; /* of the first, into the block; as hostile as its sender */
};

void header_look(struct slice block, struct header_look *look);

/* Values to add; an empty one is not added. */
struct completion {
	struct slice date, message_id, from;
};

/* The block with From lines renamed into out, and, when c is not NULL, without Bcc and Resent-Bcc
 * and with those fields of c at its end that look says are missing. false: out is full. */
bool header_complete(struct slice block, const struct header_look *look, const struct completion *c,
		     struct buffer *out);

#endif
