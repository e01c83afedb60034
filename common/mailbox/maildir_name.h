/*
 * maildir_name: what the name of a file in a Maildir tells (cr.yp.to/proto/maildir.html; ,S= and
 * ,W= as Dovecot has them): TIME.UNIQUE.HOST[,S=OCTETS][,W=OCTETS][:2,FLAGS].
 */
#ifndef COMMON_MAILBOX_MAILDIR_NAME_H
#define COMMON_MAILBOX_MAILDIR_NAME_H

#include "common/base/slice.h"

struct maildir_name {
	uint64_t seconds, microseconds; /* of its arrival; 0: it does not say */
	struct slice base;		/* all of it before ':': the same in new/ and cur/ */
	struct slice unique;		/* the part of base before ,S= and ,W= */
	bool sized;			/* it says octets */
	uint64_t octets;		/* with CRLF line ends (,W=) */
};

/* Points into name. Any name gives something. */
void maildir_name_read(struct slice name, struct maildir_name *n);
/* The order of arrival, the same each time: <0, 0, >0. */
int maildir_name_compare(const struct maildir_name *a, const struct maildir_name *b);

#endif
