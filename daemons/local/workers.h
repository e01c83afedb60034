/*
 * workers: the threads that deliver, so that the syncs of many messages wait for the disk together.
 */
#ifndef DAEMONS_LOCAL_WORKERS_H
#define DAEMONS_LOCAL_WORKERS_H

#include "daemons/local/maildir.h"

enum { WORKERS = 16 }; /* more share a sync of a journal better, yet cost more switches */

struct workers;
/* Makes the threads: call it after the sandbox, which does not hold older ones whole. */
struct workers *workers_new(struct maildir *m, unsigned count);
/* In the order given; maildir's done() tells when it is delivered. */
void workers_give(struct workers *w, struct maildir_job *job);
/* Waits until all that was given is done. */
void workers_free(struct workers **w);

#endif
