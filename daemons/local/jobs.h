/*
 * jobs: the talk with the queue manager: jobs in, outcomes out. An outcome is kept until the
 * manager has noted it. All of it runs in the loop's thread.
 */
#ifndef DAEMONS_LOCAL_JOBS_H
#define DAEMONS_LOCAL_JOBS_H

#include "common/service/service.h"

enum {
	JOBS_MOST = 400,       /* under way at once: what the manager is told */
	JOBS_HELD_MAX = 16384, /* with the outcomes that it has not noted */
};

extern const struct route jobs_routes[];
void jobs_up(struct channel *c, unsigned instance);
void jobs_down(struct channel *c);

void jobs_warm(void);
void jobs_start(void);
void jobs_drain(void);

#endif
