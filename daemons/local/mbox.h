/*
 * mbox: messages at the end of a file in mbox format (RFC 4155), which the user who runs this owns.
 * Knows no channels.
 */
#ifndef DAEMONS_LOCAL_MBOX_H
#define DAEMONS_LOCAL_MBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "common/mailbox/mbox_hold.h"
#include "daemons/local/outcome.h"

enum {
	MBOX_TRIES = 20,	    /* for a lock that another has */
	MBOX_WAIT_US = 1000 * 1000, /* between two of them */
};

struct mbox_place {
	int dir;	  /* open directory of the file */
	const char *path; /* as the administrator would say it, for texts */
	const char *name; /* of the file in dir */
	gid_t group;	  /* effective group for making files in dir; our own: no other */
	unsigned tries;	  /* MBOX_TRIES */
	uint64_t wait_us; /* MBOX_WAIT_US */
};

struct mbox_item {
	const struct letter *letter;
	struct outcome *outcome; /* when done */
};

/* Locks, appends, syncs once for all of them; of what fails nothing is in the file. */
void mbox_deliver(const struct mbox_place *place, const struct mbox_item *items, size_t count,
		  struct letter_room *room);

#endif
