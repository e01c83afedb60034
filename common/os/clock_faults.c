/*
 * clock_faults: clocks that a test moves (FAULTS=1). What the file of STAGEPOST_CLOCK holds is
 * added to what the kernel says; a sum before 1970 is the first second of it.
 */
#include "common/os/clock_read.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/os/clock.h"

struct shift {
	int64_t wall, boot;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const volatile struct shift *shift; /* mapped; NULL: the clocks are right */

static void map(void)
{
	const char *path = getenv("STAGEPOST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	if (!path)
		return;
	at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fatal("STAGEPOST_CLOCK: %s can't be mapped: %s", path, strerror(errno));
	close(fd);
	shift = at;
}

uint64_t clock_read(clockid_t clock)
{
	struct timespec t;
	int64_t now;
	pthread_once(&once, map);
	clock_gettime(clock, &t);
	now = (int64_t)t.tv_sec * (int64_t)CLOCK_SECOND + t.tv_nsec / 1000;
	if (shift)
		now += clock == CLOCK_REALTIME ? shift->wall : shift->boot;
	return now > (int64_t)CLOCK_SECOND ? (uint64_t)now : CLOCK_SECOND;
}
