/*
 * children: the processes that deliver as users, seen from the daemon, which believes nothing of
 * what a child says but which job has which outcome.
 */
#ifndef DAEMONS_LOCAL_CHILDREN_H
#define DAEMONS_LOCAL_CHILDREN_H

#include "daemons/local/errand.h"

enum { CHILDREN_MOST = 50 }; /* at once */

#define CHILDREN_TIME_US UINT64_C(300000000) /* that one bundle may take */

enum child_end {
	CHILD_DIED,
	CHILD_LATE, /* what it was given took too long; it was killed */
	CHILD_NONE, /* no process could be made */
};

/* What children tell, from the loop; arg is of children_new(). */
struct children_calls {
	void (*ready)(void *arg); /* it was made, or has answered all: may be given errands */
	void (*outcome)(void *arg, const struct job_outcome *m); /* of the next errand */
	void (*gone)(void *arg, enum child_end end);		 /* do not use it after this */
	void (*room)(void);					 /* for another child */
};

struct child;

/* Before the sandbox. */
void children_warm(void);
void children_start(const struct children_calls *calls, uint64_t time_us);
/* NULL: CHILDREN_MOST are there. */
struct child *children_new(const struct person *person, void *arg);
/* A bundle of so many errands, when it is ready; fd stays the caller's, -1: none. */
void children_give(struct child *c, struct slice bundle, unsigned count, int fd);
/* It ends by itself; nothing more is heard of it. Only when it is ready, or says that it can do
 * nothing. */
void children_end(struct child **c);
/* Ends all, whatever they do; nothing more is heard of them. over() is called when they have gone,
 * or not even a kill ends them. */
void children_stop(void (*over)(void));

#endif
