/*
 * recover: leased segments whose writer is gone, scanned when no process holds them any more:
 * records that were never noticed become messages, damage is copied to corrupt/, the segment is
 * sealed. When the last of the start's segments is done, large files that nothing names are
 * unlinked.
 */
#ifndef QUEUE_STORE_RECOVER_H
#define QUEUE_STORE_RECOVER_H

#include "common/os/lookout.h"
#include "queue/store/segments.h"

enum { RECOVER_POLL_US = 50000 }; /* how often a lock is looked at */

struct recover;

struct recover_setup {
	int segments_dirfd, large_dirfd, corrupt_dirfd;
	uint32_t segment_size;
	uint64_t first_number; /* large files below it are of an earlier life */
	struct ledger *ledger;
	struct segments *segments;
	struct helper *helper;
	struct lookout *lookout;    /* for the helper's thread */
	uint64_t (*now)(void *arg); /* queue time */
	void (*arrived)(void *arg, struct entry *e);
	void *arg;
};

/* Every segment that is leased in the ledger now is to be scanned. */
struct recover *recover_open(const struct recover_setup *setup);
void recover_free(struct recover **r);
/* The writer's channel is closed: so are its segments to be. */
void recover_writer(struct recover *r, uint32_t writer);
size_t recover_pending(const struct recover *r); /* segments not scanned yet */

#endif
