/*
 * clock_nofaults: the clocks as they are.
 */
#include "common/os/clock_read.h"

#include "common/os/clock.h"

uint64_t clock_read(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * CLOCK_SECOND + (uint64_t)t.tv_nsec / 1000;
}
