/*
 * path: the argument of MAIL and RCPT up to its parameters (RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2).
 * A blank behind the colon passes; the brackets are required.
 */
#ifndef COMMON_SMTP_PATH_H
#define COMMON_SMTP_PATH_H

#include "common/mail/address.h"
#include "common/smtp/reply.h"

/* argument: "FROM:<a@b> SIZE=1"; options: enum address_option. The null path gives the null
 * address. *parameters gets what follows, blanks cut; points into argument. */
bool path_parse_mail(struct slice argument, unsigned options, struct address *reverse_path,
		     struct slice *parameters, struct refusal *why);
/* argument: "TO:<a@b>"; <postmaster> passes without a domain, <> does not (S19). */
bool path_parse_rcpt(struct slice argument, unsigned options, struct address *recipient,
		     struct slice *parameters, struct refusal *why);

#endif
