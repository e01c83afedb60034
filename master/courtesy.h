/*
 * courtesy: whether the daemons let others finish before they run (SCHED_BATCH), or come at once.
 *
 * Under batch a daemon that was woken waits until the one that wakes it has done its turn, and
 * finds more to do at once: a tenth more mail, for a tenth less CPU. But where other programs keep
 * all processors busy it waits for each of them, up to a timer tick each time, and mail comes to a
 * third. So the master looks each second how long smtpd waits, and leaves batch for a minute.
 */
#ifndef MASTER_COURTESY_H
#define MASTER_COURTESY_H

#include <stdbool.h>

#include "common/os/policy.h"

enum {
	COURTESY_WAIT_US = 200,	 /* in the mean; our own daemons alone make it wait under 70 */
	COURTESY_TIMES_MIN = 20, /* fewer in a second say nothing */
	COURTESY_PAUSE_S = 60,	 /* without batch */
};

struct courtesy {
	bool batch;
	unsigned pause;		    /* seconds that are left of it */
	struct policy_waits before; /* at the last look */
};

/* Now the figures are these; called each second. True: batch has changed. The first
 * figures, and those that are lower than before, are a process's from its start: not judged. */
bool courtesy_judge(struct courtesy *c, const struct policy_waits *now);

/* Whether a daemon that is started now is to run under batch. */
bool courtesy_batch(void);
/* Looks at the first smtpd, and changes all processes when it has to. */
void courtesy_look(void);

#endif
