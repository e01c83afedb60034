/*
 * octets: how long a message is with CRLF at the end of each line, as POP3 says it (RFC 1939 11),
 * whatever its line ends are in the mailbox.
 */
#ifndef COMMON_MAILBOX_OCTETS_H
#define COMMON_MAILBOX_OCTETS_H

#include "common/base/slice.h"

/* Zeroed at first. */
struct octets_count {
	uint64_t octets;
	char last; /* octet; NUL: there was none */
};

/* Content may be cut anywhere. */
void octets_add(struct octets_count *c, struct slice content);
/* That was all of it; the last line gets an end when it has none. */
uint64_t octets_end(struct octets_count *c);

#endif
