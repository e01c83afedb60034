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

enum {
	PARAMETER_ENVID_MAX = 100, /* RFC 3461 4.4, as xtext */
	PARAMETER_ORCPT_MAX = 500, /* RFC 3461 4.2, with its type, as xtext */
	PARAMETER_AUTH_MAX = 500,  /* RFC 4954 5 */
};

enum mail_body { MAIL_BODY_UNSAID, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME };
enum mail_ret { MAIL_RET_UNSAID, MAIL_RET_FULL, MAIL_RET_HDRS };

struct mail_parameters {
	bool has_size;
	uint64_t size;	     /* RFC 1870: a hint, in octets; what passes 64 bits is UINT64_MAX */
	enum mail_body body; /* RFC 6152 */
	bool utf8;	     /* SMTPUTF8, RFC 6531 */
	enum mail_ret ret;   /* RFC 3461 4.3 */
	struct slice envid;  /* RFC 3461 4.4: xtext as it came; empty: unsaid */
	bool auth; /* RFC 4954 5: was said, where AUTH is offered; its value is not used */
};

/* NOTIFY of RFC 3461 4.1; 0: unsaid, which is another thing than any of these (S22). */
enum rcpt_notify {
	RCPT_NOTIFY_NEVER = 1 << 0,
	RCPT_NOTIFY_SUCCESS = 1 << 1,
	RCPT_NOTIFY_FAILURE = 1 << 2,
	RCPT_NOTIFY_DELAY = 1 << 3,
};

struct rcpt_parameters {
	unsigned notify;    /* of enum rcpt_notify */
	struct slice orcpt; /* RFC 3461 4.2: type;xtext as it came; empty: unsaid */
};

/* Takes the next one off *rest: 1; 0 at the end; -1 with why: 501 5.5.4, syntax. */
int parameter_next(struct slice *rest, struct parameter *p, struct refusal *why);
/* Unknown ones are 555 5.5.4, duplicates and bad values 501 5.5.4 (S13, S21). Slices point into
 * parameters. */
bool parameters_parse_mail(struct slice parameters, struct mail_parameters *m, struct refusal *why);
bool parameters_parse_rcpt(struct slice parameters, struct rcpt_parameters *r, struct refusal *why);

#endif
