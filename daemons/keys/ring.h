/*
 * ring: the keys that are there, by the SHA-256 of their public part. A key that no pair of files
 * names any more stays for a while: certificate and key change one after the other, and who shows
 * the old certificate needs the old key.
 */
#ifndef DAEMONS_KEYS_RING_H
#define DAEMONS_KEYS_RING_H

#include "common/net/tls_private.h"

enum { RING_MAX = 4096 }; /* keys; of those that are not named the oldest goes first */
#define RING_GRACE_US UINT64_C(600000000) /* that a key stays unnamed */

/* Called when a key has come, and when one has gone. */
typedef void ring_call(const unsigned char name[TLS_KEY_NAME_SIZE], bool present);
void ring_begin(ring_call *call);
/* Takes the key. False: it was there already, or there is no room among those that are named. */
bool ring_add(struct tls_private *k);
const struct tls_private *ring_find(struct slice name); /* NULL: not there */

/* Between these every key that is to stay is named; the others' time runs then. */
void ring_naming(void);
void ring_name(const unsigned char name[TLS_KEY_NAME_SIZE]);
void ring_named(void);
/* Drops those whose time is over, which the timer does too; now: of the clock of loop_now(). */
void ring_sweep(uint64_t now);
size_t ring_count(void);
void ring_free(void); /* all of it */

#endif
