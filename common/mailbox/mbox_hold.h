/*
 * mbox_hold: a file of messages (mbox), held alone by both locks that mail programs know: the lock
 * file beside it and the kernel's.
 */
#ifndef COMMON_MAILBOX_MBOX_HOLD_H
#define COMMON_MAILBOX_MBOX_HOLD_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"

enum {
	MBOX_STALE_US = 500 * 1000 * 1000, /* age at which another's lock file is nobody's */
	MBOX_MODE_OF_SPOOL = 0660, /* owner and group of the directory, Debian policy 11.6 */
	MBOX_MODE_OF_HOME = 0600,
};

struct mbox_hold {
	/* the caller's */
	int dir;	  /* open directory of the file */
	const char *name; /* of the file in dir */
	gid_t group;	  /* effective group for making files in dir; our own: no other */
	unsigned tries;	  /* for a lock that another has */
	uint64_t wait_us; /* between two of them */
	bool make;	  /* a file that is not there */
	/* while it is held */
	int fd; /* O_RDWR | O_APPEND */
	uint64_t size;
	bool made;
	char lock[NAME_MAX + 1];
	int lock_fd;
};

/* May wait. On failure nothing is held: e->code is an errno (ENOENT: it is not there; EBUSY:
 * another program has it; EINVAL: what lies there is not ours to touch; ENAMETOOLONG), its text
 * continues "mailbox NAME ...". */
bool mbox_hold_take(struct mbox_hold *h, struct error *e);
/* Closes and unlocks. False: closing failed, and what was written may not be there (NFS); errno. */
bool mbox_hold_end(struct mbox_hold *h);
/* Acts with the group that may make files there, or no more. */
void mbox_hold_as_group(const struct mbox_hold *h, bool on);

#endif
