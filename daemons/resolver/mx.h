/*
 * mx: the MX hosts of a domain (RFC 5321 5.1), and the name of the site that they are.
 */
#ifndef DAEMONS_RESOLVER_MX_H
#define DAEMONS_RESOLVER_MX_H

#include "common/dialogue/resolver.h"
#include "daemons/resolver/reply.h"

enum { MX_MAX = 100 }; /* hosts that are looked at, of a domain that names more (S41) */

struct mx {
	uint32_t preference;
	char host[REPLY_NAME_SIZE];
};

/* By preference, equal ones by name; each host once, where it is best. */
struct mx_list {
	size_t count;
	bool null; /* the domain says that it takes no mail: no host but the root (RFC 7505) */
	struct mx list[MX_MAX];
};

/* From a packet just opened, whose type is MX. A root beside hosts means nothing (S38). */
void mx_read(struct reply *p, struct mx_list *l);
/* The domain itself, which has no MX records (S36). */
void mx_implicit(const char *domain, struct mx_list *l);
/* Their names in order, joined with '+'. One that does not fit is cut and ends in '#' and a hash of
 * the whole, which is the same in every process. */
void mx_site(const struct mx_list *l, char site[RESOLVER_SITE_MAX + 1]);

#endif
