/*
 * idna: domain names as the DNS and other servers know them: lower case, and A-labels where a label
 * is not ASCII (RFC 5890, RFC 5891; mapped before by UTS 46, as people type them).
 */
#ifndef COMMON_MAIL_IDNA_H
#define COMMON_MAIL_IDNA_H

#include "common/mail/address.h"

/* domain (a name, no literal) into dst, NUL-terminated; *ascii points to it. False: that is no
 * domain name, or its A-labels are too long. An ASCII name is folded and not looked at further. */
bool idna_ascii(struct slice domain, char dst[ADDRESS_SIZE], struct slice *ascii);
bool idna_is_ascii(struct slice text);

#endif
