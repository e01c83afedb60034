/*
 * clock_read: one of the kernel's clocks, in microseconds. Inside os/ alone.
 *
 * In a build with FAULTS=1 the clocks can jump, all processes' at once:
 *
 *	STAGEPOST_CLOCK=PATH
 *		a file of two numbers, int64_t of this machine: what the wall clock and what the
 *		clocks since the boot are ahead of the truth, in microseconds. It is mapped at the
 *first reading, so the file may change afterwards.
 */
#ifndef COMMON_OS_CLOCK_READ_H
#define COMMON_OS_CLOCK_READ_H

#include <stdint.h>
#include <time.h>

uint64_t clock_read(clockid_t clock);

#endif
