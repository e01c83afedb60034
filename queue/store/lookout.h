/*
 * lookout: which record is being looked at, kept in a small file, so that the next manager knows
 * what the one before it died of. After LOOKOUT_DEATHS deaths at one record in a row it is not
 * looked at any more (queue/README.md, section 9). Only deaths of the process count, so nothing is
 * synced: what was written is in the page cache. One lookout belongs to one thread at a time.
 */
#ifndef QUEUE_STORE_LOOKOUT_H
#define QUEUE_STORE_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOOKOUT_DEATHS = 3,
	LOOKOUT_SUSPECTS = 31, /* records that are remembered; the least deadly makes room */
};

struct lookout;

/* The file is made when it is not there. Where it can't be had that is logged, and nothing is
 * remembered: mail goes on. */
struct lookout *lookout_open(int dirfd, const char *name);
/* Counts as an end in good order: nothing is looked at. */
void lookout_close(struct lookout **l);
/* From now on a death is that message's, until lookout_end() or the next begin. False: it is not to
 * be looked at; its deaths are forgotten, so who asks for it again has as many tries. */
bool lookout_begin(struct lookout *l, uint64_t id);
/* Whoever was looked at has hurt nobody: its deaths are forgotten. */
void lookout_end(struct lookout *l);

#endif
