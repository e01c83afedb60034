/*
 * owner: the life of a child that opens one mailbox for one POP3 session: it becomes the mailbox's
 * owner, goes to its directory, closes its sandbox, and then serves the session.
 */
#ifndef DAEMONS_MAILDROP_OWNER_H
#define DAEMONS_MAILDROP_OWNER_H

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
	/* The daemon ends it before. It is for a child whose daemon has gone. */
	OWNER_LIFE_SECONDS = 26 * 3600,
};

/* For struct fork_plan; the request is a maildrop_grant. given: the base of a virtual mailbox. */
bool owner_begin(struct error *e);
void owner_child(struct slice request, int fd, int given);

#endif
