/*
 * failures: who failed to log in, how often, and who is banned for it. Clients are addresses (an
 * IPv6 client is a /64), accounts are names as they would be canonical, there or not. Pure: the
 * time is passed in; everything is bounded, the oldest is forgotten first.
 *
 * A client is banned from all accounts. An account is banned for clients that have never logged in
 * with it (as far as is remembered), so that no stranger locks out its owner. A success forgives
 * what the same client failed with the same account, and nothing else.
 */
#ifndef DAEMONS_ACCOUNTS_FAILURES_H
#define DAEMONS_ACCOUNTS_FAILURES_H

#include "common/base/slice.h"

enum {
	FAILURES_CLIENTS_MAX = 65536,
	FAILURES_ACCOUNTS_MAX = 65536,
	FAILURES_PAIRS_MAX = 131072, /* of a client and an account */
	FAILURES_KEY_MAX = 400,	     /* octets of any key */
};
/* Of the answer to a client's first failure; then twice as long each time, up to the most. */
#define FAILURES_DELAY_US      UINT64_C(500000)
#define FAILURES_DELAY_MOST_US UINT64_C(4000000)

/* ban_us: how long a ban lasts, and the time in which failures are counted. */
void failures_settings(uint32_t ban_after, uint64_t ban_us);

enum failures_ban { FAILURES_CLIENT_BAN = 1, FAILURES_ACCOUNT_BAN = 2 };

/* Either may be empty: not known, and not counted. Answers are of enum failures_ban, or-ed; 0:
 * none.
 */
unsigned failures_banned(struct slice client, struct slice account, uint64_t now);
/* One more; the bans that begin with it, and how long the answer is to wait. */
unsigned failures_add(struct slice client, struct slice account, uint64_t now, uint64_t *delay);
void failures_success(struct slice client, struct slice account, uint64_t now);
void failures_forget(void); /* everything: for tests */

#endif
