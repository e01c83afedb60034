/*
 * tickets: what accounts has granted and nobody has opened yet.
 */
#ifndef DAEMONS_MAILDROP_TICKETS_H
#define DAEMONS_MAILDROP_TICKETS_H

#include "common/dialogue/maildrop.h"

enum {
	TICKETS_MAX = 4096,	      /* above it the oldest goes */
	TICKET_GRANT_MAX = 12 * 1024, /* octets of a grant, encoded */
};

struct ticket {
	char *user; /* canonical address */
	char *base; /* of bases.h; NULL: a machine's user, whose directory has no descriptor */
	size_t len;
	char *grant; /* encoded */
};

void tickets_warm(void);
/* Keeps it for MAILDROP_TICKET_US. False: it makes no sense. */
bool tickets_add(const struct maildrop_grant *g);
/* Each opens once; NULL: there is none such. The caller's to free. */
struct ticket *tickets_take(struct slice ticket);
void ticket_free(struct ticket **t);

#endif
