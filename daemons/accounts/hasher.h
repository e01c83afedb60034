/*
 * hasher: threads that see whether a password holds, which takes milliseconds on purpose: meanwhile
 * the loop answers others. What waits is bounded, and clients take turns: one that asks a lot waits
 * for itself.
 */
#ifndef DAEMONS_ACCOUNTS_HASHER_H
#define DAEMONS_ACCOUNTS_HASHER_H

#include "common/base/slice.h"

enum {
	HASHER_THREADS = 2,
	HASHER_WAITING_MAX = 512,   /* of all clients */
	HASHER_STRANGERS_MAX = 384, /* of them those that are not known to be good */
	HASHER_CLIENT_MAX = 32,	    /* of one */
};

/* In a process that is in its sandbox. */
void hasher_start(void);
typedef void hasher_done(void *arg, bool holds);
/* client: who waits for it, as a few octets; known: it has been right before, and goes first. Both
 * texts are copied, and wiped as soon as they were
 * used. False: too many wait, done() is not called; else it is called from the loop, once. */
bool hasher_ask(struct slice client, bool known, struct slice entry, struct slice password,
		hasher_done *done, void *arg);

#endif
