/*
 * sync: makes many files, or directories, durable together, in the cheaper of two ways: one by one,
 * when the writing of all has begun; or by a sync of their whole file system, which waits for what
 * others have written there, too. Which is cheaper is measured, for each file system by itself.
 */
#ifndef DAEMONS_LOCAL_SYNC_H
#define DAEMONS_LOCAL_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

enum {
	SYNC_MANY = 4,	    /* so many of one file system may be synced by syncing it whole */
	SYNC_PLACES_MAX = 4 /* file systems in one batch; in others all is synced one by one */
};

enum sync_kind { SYNC_FILES, SYNC_DIRECTORIES, SYNC_KINDS };

struct sync_item {
	int fd;
	uint64_t device; /* st_dev */
	int error;	 /* afterwards: 0, or errno: it is not durable */
};

/* What was measured; for all threads. */
struct sync_costs;
struct sync_costs *sync_costs_new(void);
void sync_costs_free(struct sync_costs **costs);

/* A batch: files are written, then synced, then their directories. */
struct sync_batch {
	struct sync_costs *costs;
	size_t count;
	struct {
		uint64_t device;
		int fd; /* opened before anything was written: it is told of every error */
	} places[SYNC_PLACES_MAX];
};

void sync_begin(struct sync_batch *b, struct sync_costs *costs);
/* Before the first of many files is written below that directory: their file system may be synced
 * whole. It must be one that tells of all errors (disk_sync_all_tells). */
void sync_place(struct sync_batch *b, uint64_t device, int dir);
/* Each item gets its error. The files are still open as they were when they were written. */
void sync_run(struct sync_batch *b, enum sync_kind kind, struct sync_item *items, size_t count);
void sync_end(struct sync_batch *b);

#endif
