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
/* What is 0 may be set by a test of a build with FAULTS=1; a no-op in a normal one. */
void spool_sizes(uint32_t *segment, uint32_t *ledger);

#endif
