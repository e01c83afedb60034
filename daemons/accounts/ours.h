/*
 * ours: domains of the configuration, as logins need them: which names may log in at all, and which
 * deliver statement a mailbox belongs to. A new set takes the place of the old one when it is
 * complete.
 */
#ifndef DAEMONS_ACCOUNTS_OURS_H
#define DAEMONS_ACCOUNTS_OURS_H

#include "common/config/settings.h"
#include "common/mail/address.h"

void ours_begin(void);
void ours_setting(const struct record *record, const void *value);
void ours_end(void);

/* Who somebody says he is, once it is clear which of our domains he means. */
struct login_name {
	char address[ADDRESS_SIZE]; /* canonical, folded */
	char user[ADDRESS_SIZE];    /* local part, folded, not quoted */
	char domain[ADDRESS_SIZE];  /* as the configuration has it */
	uint32_t number;	    /* of the domain; 0: origin, which is no domain of ours */
	uint64_t set;		    /* in which the number means that */
};

/* said: UTF-8; a bare name means NAME@origin. NULL, or why nobody of ours has such a name: no valid
 * address, another domain, characters that RFC 4013 forbids. */
const char *ours_name(struct slice said, struct login_name *name);
/* Is it of the set in use? Another one may number the domains otherwise. */
bool ours_current(const struct login_name *name);
/* May users of the machine log in as NAME@DOMAIN? Where they get mail, and as NAME@origin. */
bool ours_machine(const struct login_name *name);

/* A deliver or relay statement of a domain; strings live until the next set. */
struct ours_deliver {
	struct slice kind, base, path, users, owner;
};
/* The n-th of a domain, from 0; NULL: there are no more. */
const struct ours_deliver *ours_deliver(uint32_t domain, size_t n);

#endif
