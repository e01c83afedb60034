/*
 * message_id: makes the value of a Message-ID field (RFC 5322 3.6.4).
 */
#ifndef COMMON_MAIL_MESSAGE_ID_H
#define COMMON_MAIL_MESSAGE_ID_H

#include "common/base/slice.h"

enum { MESSAGE_ID_SIZE = 320 };

/* "<20260928100000.UNIQUE@HOST>" with the UTC time; unique is a queue id, or other letters and
 * digits, of at most 32 octets; host is a domain name of ours. */
struct slice message_id_text(int64_t seconds, struct slice unique, struct slice host,
			     char dst[MESSAGE_ID_SIZE]);

#endif
