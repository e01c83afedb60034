/*
 * maildir: one message into one mailbox: written to tmp/, synced, moved to new/, and delivered when
 * new/ is synced too, which is done once for all that were moved meanwhile. To be called from
 * several threads at once; knows no channels.
 */
#ifndef DAEMONS_LOCAL_MAILDIR_H
#define DAEMONS_LOCAL_MAILDIR_H

#include "daemons/local/letter.h"
#include "daemons/local/mailbox.h"

enum { MAILDIR_HOST_MAX = 128, MAILDIR_NAME_SIZE = 256 };

/* What to deliver; all of it lives, unchanged, until the delivery is done. */
struct maildir_job {
	int base;	  /* directory of the deliver statement; -1: not there */
	const char *path; /* of the mailbox, below base */
	const char *host; /* by maildir_host() */
	uint64_t message; /* queue id */
	uint32_t recipient, attempt;
	struct letter letter;
	struct outcome outcome; /* when done */

	/* maildir.c's, and workers.c's while it waits */
	STAILQ_ENTRY(maildir_job) next;
	struct mailbox *box;
	char name[MAILDIR_NAME_SIZE];
};

/* Our host name as part of file names. */
void maildir_host(struct slice hostname, char host[MAILDIR_HOST_MAX + 1]);

struct maildir;
/* done() comes once for each job, from any thread that delivers. */
typedef void maildir_done(void *arg, struct maildir_job *job);
struct maildir *maildir_new(maildir_done *done, void *arg);
void maildir_free(struct maildir **m); /* no delivery is under way */
/* Returns when the job is done, or left to another thread that will do it with its own. */
void maildir_deliver(struct maildir *m, struct letter_room *room, struct maildir_job *job);

#endif
