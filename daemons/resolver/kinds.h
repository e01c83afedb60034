/*
 * kinds: the three questions, as routes of the channels: a file for each.
 */
#ifndef DAEMONS_RESOLVER_KINDS_H
#define DAEMONS_RESOLVER_KINDS_H

#include "common/dialogue/resolver.h"
#include "daemons/resolver/mx.h"
#include "daemons/resolver/questions.h"

/* The codes of what went wrong, for site and hosts. */
struct verdict {
	uint32_t code; /* 0: nothing did */
	const char *enhanced;
};

extern const struct verdict verdict_later;     /* 451 4.4.3: the DNS does not answer */
extern const struct verdict verdict_no_domain; /* 550 5.4.4: no such domain, host, address */
extern const struct verdict verdict_null_mx;   /* 556 5.1.10: takes no mail */
extern const struct verdict verdict_bad_name;  /* 550 5.1.2: no domain's name at all */

/* What the answer to a question for MX records means. Hosts are in l when the code is 0. */
struct verdict verdict_mx(const char *domain, const struct dns_answer *a, struct mx_list *l);

void site_asked(struct channel *c, const void *record);
void hosts_asked(struct channel *c, const void *record);
void name_asked(struct channel *c, const void *record);

#endif
