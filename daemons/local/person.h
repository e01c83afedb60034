/*
 * person: the life of a child that delivers one user's mail, as that user: after it has become the
 * user, and closed its sandbox, it takes bundles of errands until there are no more. What goes into
 * one mailbox at the same time is made durable together.
 */
#ifndef DAEMONS_LOCAL_PERSON_H
#define DAEMONS_LOCAL_PERSON_H

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
	/* Its daemon ends it before. It is for a child whose daemon has gone. */
	PERSON_LIFE_SECONDS = 900,
};

/* For struct fork_plan. */
bool person_begin(struct error *e);
void person_child(struct slice request, int fd, int given);

#endif
