/*
 * maildir: messages into mailboxes, a batch at a time: all are written to tmp/ and synced, all are
 * moved to new/, and delivered when their new/ is synced too. To be called from several threads at
 * once; knows no channels.
 */
#ifndef DAEMONS_LOCAL_MAILDIR_H
#define DAEMONS_LOCAL_MAILDIR_H

#include "common/mailbox/octets.h"
#include "daemons/local/letter.h"
#include "daemons/local/mailbox.h"

enum {
	MAILDIR_HOST_MAX = 128,
	MAILDIR_NAME_SIZE = 256,
	MAILDIR_BATCH_MAX = 128, /* messages in one batch */
};

STAILQ_HEAD(maildir_jobs, maildir_job);

/* What to deliver; all of it lives, unchanged, until the delivery is done. */
struct maildir_job {
	int base;	  /* directory of the deliver statement; -1: not there */
	const char *path; /* of the mailbox, below base */
	const char *host; /* by maildir_host() */
	uint64_t message; /* queue id */
	uint32_t recipient, attempt;
	bool retried; /* this attempt was made before, and died */
	struct letter letter;
	struct outcome outcome; /* when done */
	STAILQ_ENTRY(maildir_job) next;
	uint64_t since; /* workers.c's: it waits */

	/* maildir.c's */
	struct mailbox *box; /* NULL: held no more, or not yet */
	int fd;		     /* of the file; -1: not open */
	bool unnamed;	     /* it has no name in tmp/ */
	bool good;	     /* nothing has failed so far */
	bool again;	     /* the mailbox was removed meanwhile: it is tried once more */
	unsigned tries;
	const char *doing;
	uint64_t size; /* octets written */
	struct octets_count octets;
	char name[MAILDIR_NAME_SIZE]; /* in new/ */
};

/* Our host name as part of file names. */
void maildir_host(struct slice hostname, char host[MAILDIR_HOST_MAX + 1]);

struct maildir;
struct maildir *maildir_new(void);
void maildir_free(struct maildir **m); /* no delivery is under way */

/* Memory to deliver with; a thread has its own. */
struct maildir_room;
struct maildir_room *maildir_room_new(void);
void maildir_room_free(struct maildir_room **room);

/* Delivers at most MAILDIR_BATCH_MAX of them, the first ones, which are moved to done; returns when
 * each has its outcome. */
void maildir_deliver(struct maildir *m, struct maildir_room *room, struct maildir_jobs *jobs,
		     struct maildir_jobs *done);

#endif
