/*
 * dsn: writes a delivery status notification: multipart/report (RFC 6522) of a text for people, the
 * same for programs (RFC 3464), and the message or its header block. Nothing that a stranger has
 * said - an address, a reply - can end a line or begin a field here.
 *
 * Addresses that are not ASCII: a message that came with SMTPUTF8 is reported in the global forms
 * of RFC 6533, for any other such addresses are written in ASCII.
 */
#ifndef COMMON_MAIL_DSN_H
#define COMMON_MAIL_DSN_H

#include "common/base/buffer.h"

enum {
	DSN_CONTENT_MAX = 50000, /* octets of a message that is attached whole */
	DSN_BOUNDARY_SIZE = 64,
};

enum dsn_action { /* RFC 3464 2.3.3 */
		  DSN_FAILED,
		  DSN_DELIVERED,
		  DSN_RELAYED,	/* to a server that gives no notices */
		  DSN_EXPANDED, /* an alias of several, or a list */
		  DSN_ACTIONS
};

struct dsn_recipient {
	struct slice address;  /* where it went in the end */
	struct slice original; /* as the sender wrote it */
	struct slice orcpt;    /* ORCPT as it came, type;xtext; empty: none */
	enum dsn_action action;
	unsigned code;	       /* of the reply; 0: none */
	struct slice enhanced; /* RFC 3463; empty: as the action says */
	struct slice text;     /* of the reply */
	struct slice relay;    /* who said it: mx.example.org[192.0.2.1]:25; empty: we did */
};

struct dsn {
	/* The notification. */
	struct slice host; /* we */
	struct slice to;   /* who is told */
	bool postmaster;   /* who can't be the sender, for there is none */
	struct slice id;   /* queue id of the notification */
	int64_t now;	   /* seconds since 1970 UTC */
	/* The message. */
	struct slice parent;		  /* queue id */
	struct slice sender;		  /* reverse-path */
	struct slice envid;		  /* xtext; empty: none */
	int64_t arrived;		  /* as now */
	int now_zone, arrived_zone;	  /* seconds east of UTC */
	bool smtputf8;			  /* it came with SMTPUTF8 (RFC 6531) */
	bool headers_only;		  /* body is not attached */
	struct slice trace, header, body; /* body: with the blank line before it */
	const struct dsn_recipient *recipients;
	size_t recipient_count;
};

/* What dsn_plan() found out. */
struct dsn_plan {
	char boundary[DSN_BOUNDARY_SIZE]; /* which is nowhere in the message */
	bool only_success; /* no recipient failed: the header block is enough (RFC 3461 6.2) */
	bool headers_only;
	bool global;	  /* RFC 6533 */
	bool utf8_text;	  /* what people read is not ASCII */
	bool eight_bit;	  /* some part is not ASCII */
	bool utf8_header; /* the notification's own header is not: it needs SMTPUTF8 */
};

void dsn_plan(const struct dsn *d, struct dsn_plan *plan);
/* The header block, and the body from the blank line on. False: out is full. */
bool dsn_header(const struct dsn *d, const struct dsn_plan *plan, struct buffer *out);
bool dsn_body(const struct dsn *d, const struct dsn_plan *plan, struct buffer *out);

#endif
