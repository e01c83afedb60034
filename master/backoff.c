/*
 * Doubling waits: a daemon that dies once is back at once, one that dies at every start costs the
 * machine next to nothing.
 */
#include "master/backoff.h"

uint64_t backoff_next(struct backoff *b, uint64_t served_us)
{
	if (b->last == 0 || served_us >= BACKOFF_FORGET_US)
		b->last = BACKOFF_FIRST_US;
	else if (b->last < BACKOFF_LONGEST_US / 2)
		b->last *= 2;
	else
		b->last = BACKOFF_LONGEST_US;
	return b->last;
}
