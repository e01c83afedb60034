/*
 * failures: who failed to log in, how often, and who is banned or slowed down for it. Clients are
 * addresses (an IPv6 client is a /64), networks what one party easily has of them (/24, /48),
 * accounts names as they would be canonical, there or not. Pure: the time is passed in; everything
 * is bounded; who has never logged in is forgotten first, and of those the oldest.
 *
 * A client is banned from all accounts; a network for those of its clients that never logged in
 * with any. An account that many fail with is not closed, for then a stranger could lock out its
 * owner: clients that have logged in with it go on, their networks have so many tries as any
 * client, and all others share a trickle of tries, of which one network has few. A success forgives
 * what the same client failed with the same account, and nothing else.
 */
#ifndef DAEMONS_ACCOUNTS_FAILURES_H
#define DAEMONS_ACCOUNTS_FAILURES_H

#include "common/base/slice.h"

enum {
	FAILURES_CLIENTS_MAX = 65536,
	FAILURES_NETWORKS_MAX = 16384,
	FAILURES_ACCOUNTS_MAX = 65536,
	FAILURES_PAIRS_MAX = 131072, /* of a client and an account */
	FAILURES_NEARS_MAX = 65536,  /* of a network and an account */
	FAILURES_KEY_MAX = 400,	     /* octets of any key */

	FAILURES_NETWORK_TIMES = 16, /* a network's failures before its ban, in those of a client */
	FAILURES_TRICKLE = 6,	     /* tries in a ban's time, in failures that begin it */
	FAILURES_NEAR_TRIES = 2,     /* of the trickle, for one network in a ban's time */
};
/* Of the answer to a client's first failure; then twice as long each time, up to the most. */
#define FAILURES_DELAY_US      UINT64_C(500000)
#define FAILURES_DELAY_MOST_US UINT64_C(4000000)

/* ban_us: how long a ban lasts, and the time in which failures are counted. */
void failures_settings(uint32_t ban_after, uint64_t ban_us);

/* Any may be empty: not known, and not counted. */
struct failures_who {
	struct slice client, network, account;
};

enum failures_ban {
	FAILURES_CLIENT_BAN = 1,
	FAILURES_ACCOUNT_BAN = 2, /* the account is slowed down, and this is not one of the tries */
	FAILURES_NETWORK_BAN = 4,
};

/* Has somebody logged in with this account from this client, or its network? */
bool failures_known(const struct failures_who *w);
/* May it be tried? Asked when an attempt begins and again before its end is told: *admitted keeps
 * that it has one of the trickle's tries. 0, or what it is banned by. */
unsigned failures_admit(const struct failures_who *w, uint64_t now, bool *admitted);
/* One more; the bans that begin with it, or-ed, and how long the answer is to wait. */
unsigned failures_add(const struct failures_who *w, uint64_t now, uint64_t *delay);
void failures_success(const struct failures_who *w, uint64_t now);
void failures_forget(void); /* everything: for tests */

#endif
