/*
 * dns: single questions to the DNS, by libunbound, with its cache. Which servers are asked, and
 * whether answers are validated, is one configuration; a new one takes the place of the old one
 * whole, with an empty cache, and what is under way is asked again.
 */
#ifndef DAEMONS_RESOLVER_DNS_H
#define DAEMONS_RESOLVER_DNS_H

#include <bsd/sys/queue.h>

#include "common/base/error.h"
#include "daemons/resolver/reply.h"
#include "daemons/resolver/resolv_conf.h"

enum { DNS_TEXT_SIZE = 640 };

enum dns_status {
	DNS_FOUND,     /* there are records of the type, perhaps none that can be used */
	DNS_NODATA,    /* the name is there, but no such record */
	DNS_NO_DOMAIN, /* NXDOMAIN */
	DNS_TROUBLE,   /* SERVFAIL, no answer, not valid by DNSSEC: may be otherwise later */
};

/* Lives during the call it is given to. */
struct dns_answer {
	enum dns_status status;
	bool secure; /* validated by DNSSEC */
	bool empty;  /* with DNS_NODATA: no zone is named that has no such record: the server may be
		      * lame, or one that keeps such answers without their zone */
	uint32_t ttl;	    /* seconds; as the DNS says, not bounded */
	struct reply reply; /* just opened; not with DNS_TROUBLE */
	const char *text;   /* what was asked and what came */
};

/* What strangers make us ask by connecting must not stand in the way of mail: each use has sockets
 * and a cache of its own. */
enum dns_use { DNS_FOR_MAIL, DNS_FOR_NAMES, DNS_USES };

typedef void dns_call(void *arg, const struct dns_answer *answer);

/* A question; zero before its first use. Its owner keeps it where it is until it is answered or
 * cancelled. */
struct dns_query {
	TAILQ_ENTRY(dns_query) next;
	enum { DNS_IDLE, DNS_ASKED, DNS_DONE } state;
	enum dns_use use;
	int id; /* libunbound's number */
	uint16_t type;
	char name[REPLY_NAME_SIZE];
	dns_call *call;
	void *arg;
	int rcode, security; /* of the answer, when it is there */
	char why[128];	     /* it is not valid */
	char *octets;
	size_t length;
};

struct dns_config {
	struct servers servers; /* none: from the root servers on */
	struct slice anchor;	/* the trust anchor's file; empty: nothing is validated */
	struct slice insecure;	/* domains that are not validated, separated by blanks */
};

/* From now on. False: it can't be used, and all is as it was. */
bool dns_configure(const struct dns_config *config, struct error *e);
/* name is usable (reply_name_usable). The call comes later, from dns_run(). */
void dns_ask(struct dns_query *q, enum dns_use use, const char *name, uint16_t type, dns_call *call,
	     void *arg);
void dns_cancel(struct dns_query *q); /* one that was answered, or never asked, too */
/* Hands out the answers that are there: after every turn of questions. */
void dns_run(void);
/* The type's name: "MX". */
const char *dns_type_name(uint16_t type);

#endif
