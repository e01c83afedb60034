/*
 * lookout: what is being looked at (a record, a letter), kept in a small file, so that the next
 * process knows what the one before it died of. After LOOKOUT_DEATHS deaths at one thing in a row
 * it is not looked at any more (queue/README.md, section 9, has the argument). Only deaths of the
 * process count, so nothing is synced: what was written is in the page cache. One lookout belongs
 * to one thread at a time.
 */
#ifndef COMMON_OS_LOOKOUT_H
#define COMMON_OS_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LOOKOUT_DEATHS = 3,
	LOOKOUT_SUSPECTS = 31, /* that are remembered; the least deadly makes room */
};

struct lookout;

/* The file is made when it is not there, or is somebody else's. Where it can't be had that is
 * logged, and nothing is remembered: mail goes on. */
struct lookout *lookout_open(int dirfd, const char *name);
/* Counts as an end in good order: nothing is looked at. */
void lookout_close(struct lookout **l);
/* id: any number but 0. From now on a death is that one's, until lookout_end() or the next begin.
 * False: it is not to be looked at; its deaths are forgotten, so who asks for it again has as many
 * tries. */
bool lookout_begin(struct lookout *l, uint64_t id);
/* Whoever was looked at has hurt nobody: its deaths are forgotten. */
void lookout_end(struct lookout *l);

#endif
