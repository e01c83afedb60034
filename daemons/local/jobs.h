/*
 * jobs: the talk with the queue manager: jobs in, outcomes out. An outcome is kept until the
 * manager has noted it. All of it runs in the loop's thread. Who delivers is another file for each
 * role: virtual.h, system.h.
 */
#ifndef DAEMONS_LOCAL_JOBS_H
#define DAEMONS_LOCAL_JOBS_H

#include "common/service/service.h"
#include "daemons/local/outcome.h"

enum {
	JOBS_MOST = 400,       /* under way at once: what the manager is told */
	JOBS_HELD_MAX = 16384, /* with the outcomes that it has not noted */
};

extern const struct route jobs_routes[];
void jobs_up(struct channel *c, unsigned instance);
void jobs_down(struct channel *c);

/* One job, from its start until its outcome is noted. */
struct job;
/* Delivers: it copies what it needs of m, whose descriptor is its to close, and calls jobs_done()
 * once, before it returns or later. A large file that belongs to m came with it. */
typedef void jobs_take(struct job *j, const struct job_start *m);
void jobs_done(struct job *j, const struct outcome *o);

void jobs_warm(jobs_take *take);
void jobs_drain(void);

/* What a large file's job says of it. */
struct stored_file jobs_file(const struct job_start *m);

#endif
