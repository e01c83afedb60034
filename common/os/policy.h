/*
 * policy: under which scheduling policy a process runs, and how long it waits for a processor
 * (sched(7), proc(5)).
 */
#ifndef COMMON_OS_POLICY_H
#define COMMON_OS_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct policy_waits {
	uint64_t waited_ns; /* ready to run, and not running, since its start */
	uint64_t times;	    /* that it was given a processor */
};

/* Of the process's first thread. False: it has ended, or the kernel does not count. */
bool policy_waits(pid_t pid, struct policy_waits *w);
/* SCHED_BATCH or SCHED_OTHER for all its threads, as far as we may; who has ended is left out. */
void policy_set(pid_t pid, bool batch);

#endif
