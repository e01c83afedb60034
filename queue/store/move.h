/*
 * move: mail that stays is copied to segments of the manager's own, so that it neither pins the
 * segments of writers nor lies where a writer could spoil it. Also empties segments of which little
 * is alive.
 */
#ifndef QUEUE_STORE_MOVE_H
#define QUEUE_STORE_MOVE_H

#include "queue/store/segments.h"

enum {
	MOVES_MAX = 256,		    /* messages in one copy */
	MOVE_DELAY_US = 30 * 1000 * 1000,   /* a message that stays is moved within this */
	MOVE_SPARSE_MIN = 64 * 1024 * 1024, /* spools below it are never called sparse */
};

struct move;

struct move *move_open(struct ledger *l, struct segments *s, struct helper *h);
void move_close(struct move **m); /* waits for its job */
/* Within MOVE_DELAY_US, when the message is still there and at rest: as soon as the oldest of those
 * that wait has waited so long. */
void move_later(struct move *m, const struct entry *e);
/* Looks at the whole: call it every some seconds. */
void move_look(struct move *m);
/* As if the oldest had waited long enough: for tests. */
void move_now(struct move *m);

/* Is too little of so many octets alive? */
bool move_sparse(uint64_t live, uint64_t octets);

#endif
