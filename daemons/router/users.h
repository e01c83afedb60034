/*
 * users: asks accounts whether a user is there, and keeps the answers for a second.
 */
#ifndef DAEMONS_ROUTER_USERS_H
#define DAEMONS_ROUTER_USERS_H

#include "common/service/service.h"
#include "daemons/router/walk.h"

enum {
	USERS_PENDING_MAX = 262144, /* a walk has one at most */
	USERS_TIMEOUT_US = 5000000, /* less than smtpd waits for a verdict */
	USERS_KEPT_MAX = 10000,	    /* answers */
	USERS_KEPT_US = 1000000,    /* a change of a table is in use within 2 s, with this */
};

void users_begin(void);
void users_ask(struct slice table, struct slice user, struct slice domain, users_done *done,
	       void *arg);
void users_forget(void); /* the answers that are kept */
extern const struct route users_routes[];
void users_up(struct channel *c, unsigned instance);
void users_down(struct channel *c);

#endif
