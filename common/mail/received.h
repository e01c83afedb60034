/*
 * received: builds the trace field that a receiving SMTP server adds (RFC 5321 4.4).
 */
#ifndef COMMON_MAIL_RECEIVED_H
#define COMMON_MAIL_RECEIVED_H

#include <stdint.h>

#include "common/base/buffer.h"

struct received {
	bool local;	      /* by a program of this machine: uid instead of the client's words */
	uint32_t uid;	      /* its user */
	struct slice helo;    /* what the client called itself: hostile until written */
	struct slice name;    /* of the client by DNS; empty: "unknown" */
	struct slice address; /* of the client, text of IPv4 or IPv6 without brackets */
	bool hidden;	      /* nothing is said of the client: `from` is left out */
	struct slice tls, cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; empty: none */
	unsigned cipher_bits;
	struct slice host;	/* we */
	struct slice protocol;	/* received_protocol() */
	struct slice id;	/* queue id */
	struct slice recipient; /* canonical address, when there is only one; else empty (RFC 5321
				   7.2: more would tell one about the other); written if ASCII */
	int64_t seconds;	/* since 1970 UTC */
	int zone;		/* seconds east of UTC */
};

/* The registered words of RFC 3848 and RFC 6531: SMTP ESMTP ESMTPS ESMTPA ESMTPSA UTF8SMTP... */
struct slice received_protocol(bool esmtp, bool tls, bool auth, bool utf8);
/* The whole field with CRLF, folded, lines below 78 where a word allows it. Octets of helo and name
 * that could end a word, open a comment or leave ASCII become '?'. false: out is full. */
bool received_write(const struct received *r, struct buffer *out);

#endif
