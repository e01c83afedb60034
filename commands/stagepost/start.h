/*
 * start: the parts of `stagepost start` that can be tried alone.
 */
#ifndef COMMANDS_STAGEPOST_START_H
#define COMMANDS_STAGEPOST_START_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The master's program, beside the running one. Returns 0, or the exit code of its complaint. */
int master_find(char *path, size_t size);
/* Waits for the master's word on fd, at most so long; complains when it is none. Returns the exit
 * code: 0, the child's, or EX_TEMPFAIL when it said nothing yet. */
int start_wait(int fd, pid_t pid, uint64_t limit_us);

#endif
