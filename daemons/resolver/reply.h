/*
 * reply: what an answer of the DNS holds (RFC 1035 4.1). Its octets come from strangers: nothing
 * is read beyond the end, names that can't be host names are passed over.
 */
#ifndef DAEMONS_RESOLVER_REPLY_H
#define DAEMONS_RESOLVER_REPLY_H

#include "common/net/sockaddr.h"

enum {
	REPLY_NAME_SIZE = 256, /* a name as text, with its NUL */
	REPLY_A = 1,	       /* types of records */
	REPLY_CNAME = 5,
	REPLY_SOA = 6,
	REPLY_PTR = 12,
	REPLY_MX = 15,
	REPLY_AAAA = 28,
	REPLY_NOERROR = 0, /* codes of replies */
	REPLY_SERVFAIL = 2,
	REPLY_NXDOMAIN = 3,
};

/* Reads the records of one type in the answer section. */
struct reply {
	struct slice octets;
	size_t at;	 /* of the next record */
	unsigned left;	 /* records of the answer section that were not read yet */
	unsigned beyond; /* of the authority section */
	bool cut;	 /* it is not whole (TC) */
	unsigned rcode;	 /* of the header */
	uint16_t type;	 /* the one that was asked for */
};

struct reply_record {
	uint32_t preference;	    /* of MX */
	char name[REPLY_NAME_SIZE]; /* of MX and PTR: lower case, no dot at the end; "" is the root
				     */
	struct net_address address; /* of A and AAAA; port 0 */
};

/* False: it is no packet at all, or asks for something else. */
bool reply_open(struct slice octets, uint16_t type, struct reply *p);
/* The next record of the type that can be used; false: there is none. */
bool reply_next(struct reply *p, struct reply_record *r);
/* Of a packet just opened: how many records of the type there are, whether or not they can be used.
 */
size_t reply_count(const struct reply *p);
/* Of a packet just opened: seconds for which the answer holds: the least of the answer section;
 * without any record there, that of the zone's SOA (RFC 2308 5); 0 when nothing says. */
uint32_t reply_ttl(const struct reply *p);

/* Of a packet just opened: does it name the zone that has nothing to answer with (RFC 2308 2.2)? */
bool reply_has_soa(const struct reply *p);

/* Is it a name that we ask for and pass on: letters, digits, '-' and '_' in labels of 1 to 63
 * octets, 253 in all? */
bool reply_name_usable(struct slice name);
/* The name whose PTR record names the address (RFC 1035 3.5, RFC 3596 2.5). */
void reply_reverse(const struct net_address *a, char name[REPLY_NAME_SIZE]);

#endif
