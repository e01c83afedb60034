/*
 * workers: the threads that deliver. Two are at work as long as that is enough, since few large
 * batches cost less than many small ones: one writes while the other waits for the disk, and begins
 * when a batch is worth its syncs. When a job has waited for a while, as when a file server does
 * not answer, others step in.
 */
#ifndef DAEMONS_LOCAL_WORKERS_H
#define DAEMONS_LOCAL_WORKERS_H

#include "daemons/local/maildir.h"

enum {
	WORKERS = 32,
	WORKERS_BUSY = 2,		/* at work, or WORKERS when they are slow */
	WORKERS_MANY = 64,		/* jobs wait: the second one begins at once, ... */
	WORKERS_GATHER_US = 10 * 1000,	/* ... else when one has waited for so long */
	WORKERS_STEP_IN_US = 50 * 1000, /* a job has waited for so long */
};

/* They are done, in a worker's thread; done is empty afterwards. */
typedef void workers_done(void *arg, struct maildir_jobs *done);

struct workers;
/* Makes the threads: call it after the sandbox, which does not hold older ones whole. */
struct workers *workers_new(struct maildir *m, unsigned count, workers_done *done, void *arg);
/* Begun in the order given, a batch at a time. */
void workers_give(struct workers *w, struct maildir_job *job);
/* Waits until all that was given is done. */
void workers_free(struct workers **w);

#endif
