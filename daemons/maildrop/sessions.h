/*
 * sessions: grants from accounts, questions of pop3d, and the children that serve sessions, seen
 * from the daemon.
 */
#ifndef DAEMONS_MAILDROP_SESSIONS_H
#define DAEMONS_MAILDROP_SESSIONS_H

#include "common/service/service.h"

enum {
	SESSIONS_MOST = 1000,	    /* at once */
	SESSIONS_OF_USER_MOST = 10, /* those that a user has stopped too */
};
#define SESSION_LIFE_US UINT64_C(86400000000) /* a day: then it is ended */

void sessions_warm(void);
void sessions_start(void);
void sessions_drain(void);

extern const struct route sessions_accounts_routes[], sessions_pop3d_routes[];
void sessions_accounts_up(struct channel *c, unsigned instance);
void sessions_accounts_down(struct channel *c);
void sessions_pop3d_up(struct channel *c, unsigned instance);
void sessions_pop3d_down(struct channel *c);

#endif
