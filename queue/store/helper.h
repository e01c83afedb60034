/*
 * helper: one thread that does what blocks: opens, allocates, syncs, copies, unlinks, cold reads,
 * scans. A job runs there, then its done() is called in the loop. Urgent jobs (syncs, leases) go
 * before the others; within each kind the order is that of submission. A long task is cut into
 * jobs of some milliseconds by its owner, so that syncs come in between.
 */
#ifndef QUEUE_STORE_HELPER_H
#define QUEUE_STORE_HELPER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>

enum { HELPER_QUEUE_MAX = 32768 }; /* ordinary jobs that wait */

struct helper;

/* Lives in its owner, who keeps it in place until done() was called; run() touches nothing that the
 * loop's thread may touch meanwhile. */
struct helper_job {
	STAILQ_ENTRY(helper_job) link;
	void (*run)(struct helper_job *job);
	void (*done)(struct helper_job *job);
};

/* Makes the thread: call it before the sandbox, and before the loop runs. */
struct helper *helper_new(void);
/* Jobs that wait are run and their done() is called before it returns. */
void helper_free(struct helper **h);
/* False: the queue is full and the job was not taken. Urgent jobs are always taken: their owners
 * have at most one out each. */
bool helper_submit(struct helper *h, struct helper_job *job);
void helper_submit_urgent(struct helper *h, struct helper_job *job);
/* Runs what waits and calls every done(), in this thread, until no job is left: at the start and
 * at the end of a process, and in tests. */
void helper_drain(struct helper *h);
size_t helper_pending(const struct helper *h); /* not yet done() */

#endif
