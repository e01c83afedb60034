/*
 * numbers: what is never given twice: numbers of leases and large files, and incarnations. They are
 * reserved in blocks, by a synced line, before the first of a block is used. Private to the store.
 */
#ifndef QUEUE_STORE_NUMBERS_H
#define QUEUE_STORE_NUMBERS_H

#include "queue/store/ledger.h"

enum { NUMBERS_BLOCK = 1024, INCARNATIONS_BLOCK = 16 };

struct numbers {
	struct ledger *ledger;
	uint64_t next, limit,
	    asked; /* below limit: free to use; asked: the line that is not synced */
	uint32_t next_incarnation, incarnation_limit, incarnation_asked;
	struct ledger_wait wait;
	void (*more)(void *arg); /* there are some again */
	void *arg;
};

void numbers_start(struct numbers *n, struct ledger *ledger, void (*more)(void *arg), void *arg);
void numbers_stop(struct numbers *n);
uint64_t numbers_draw(struct numbers *n);	      /* 0: not now; more() will be called */
uint32_t numbers_draw_incarnation(struct numbers *n); /* the same */

#endif
