/*
 * spool_parts: what a spool is made of, for spool_change.c and for tests.
 */
#ifndef QUEUE_STORE_SPOOL_PARTS_H
#define QUEUE_STORE_SPOOL_PARTS_H

#include "queue/store/move.h"
#include "queue/store/spool.h"

struct ledger *spool_ledger(struct spool *sp);
struct segments *spool_segments(struct spool *sp);
struct move *spool_move(struct spool *sp);

#endif
