/*
 * supervisor: the master's life between its arguments and its exit code.
 */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "master/process.h"

/* Called once: every daemon serves for the first time (NULL), or with what keeps them from it. */
typedef void supervisor_ready_call(const struct error *e);

/* Opens everything, starts the daemons and serves until the stop is over; the exit code. */
int supervisor_run(const char *config_path, supervisor_ready_call *ready);

/* False: refused, e says why, and all serves on as it was. True: the daemons are told, and
 * supervisor_settled() will be true when they are ready. */
bool supervisor_reload(struct buffer *remarks, struct error *e);
bool supervisor_settled(void); /* every daemon serves with the newest settings */
bool supervisor_up_to_date(const struct process *p);
void supervisor_stop(void);	/* in good order; nothing when it is under way */
uint64_t supervisor_born(void); /* Unix seconds */

#endif
