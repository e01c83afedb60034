/*
 * spawn: starts a program with exactly the descriptors, the arguments and the environment that are
 * given, in a session of its own, at "/", with default signals and umask 077.
 */
#ifndef COMMON_OS_SPAWN_H
#define COMMON_OS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/error.h"

enum { SPAWN_FDS_MAX = 64 };

struct spawn_fd {
	int fd;	    /* ours */
	int number; /* in the program; given once */
};

struct spawn {
	const char *path;	    /* absolute */
	char *const *argv;	    /* ends with NULL; argv[0] too */
	char *const *environment;   /* "NAME=value", ends with NULL; the whole of it */
	const struct spawn_fd *fds; /* 0, 1 and 2 are /dev/null unless named here */
	size_t fd_count;	    /* at most SPAWN_FDS_MAX */
	bool batch; /* it runs under SCHED_BATCH (sched(7)): what wakes it does not stop others */
};

/* Returns when the program runs: its process id, or -1 with e->code the errno of what failed (the
 * exec included). The caller waits for the process. */
pid_t spawn_start(const struct spawn *s, struct error *e);

#endif
