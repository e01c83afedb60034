/*
 * turns: work that waits in turns. Each party has a queue of its own, the queues stand in a ring,
 * and the first job of the first queue is next; so one that asks a lot waits for itself. Parties
 * that are known have a ring of their own, which goes first but for each fourth turn, and places
 * that no stranger takes.
 */
#ifndef COMMON_BASE_TURNS_H
#define COMMON_BASE_TURNS_H

#include <bsd/sys/queue.h>

#include "common/base/slice.h"

enum {
	TURNS_PARTY_MAX = 16,	/* octets that name a party */
	TURNS_OF_STRANGERS = 4, /* each fourth turn, while both wait */
};

/* The first member of a job. */
struct turn {
	STAILQ_ENTRY(turn) next;
};

struct turns;

/* most: jobs that wait, of all; strangers: of them those of strangers; each: of one party. */
struct turns *turns_new(unsigned most, unsigned strangers, unsigned each);
/* False: there is no place for it. */
bool turns_add(struct turns *t, struct slice party, bool known, struct turn *job);
struct turn *turns_take(struct turns *t); /* NULL: none waits */

#endif
