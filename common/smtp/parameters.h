/*
 * parameters: the ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2 esmtp-param).
 */
#ifndef COMMON_SMTP_PARAMETERS_H
#define COMMON_SMTP_PARAMETERS_H

#include "common/base/slice.h"
#include "common/smtp/reply.h"

struct parameter {
	struct slice key;
	struct slice value;
	bool has_value; /* there was a '=' */
};

enum mail_body { MAIL_BODY_UNSAID, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME };

struct mail_parameters {
	bool has_size;
	uint64_t size;	     /* RFC 1870: a hint, in octets; what passes 64 bits is UINT64_MAX */
	enum mail_body body; /* RFC 6152 */
};

/* Takes the next one off *rest: 1; 0 at the end; -1 with why: 501 5.5.4, syntax. */
int parameter_next(struct slice *rest, struct parameter *p, struct refusal *why);
/* Unknown ones are 555 5.5.4, duplicates and bad values 501 5.5.4 (S13). */
bool parameters_parse_mail(struct slice parameters, struct mail_parameters *m, struct refusal *why);
bool parameters_parse_rcpt(struct slice parameters, struct refusal *why); /* none is known */

#endif
