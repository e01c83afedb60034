/*
 * backoff: how long a daemon that ended waits before it is started again.
 */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_US   UINT64_C(100000)
#define BACKOFF_LONGEST_US UINT64_C(5000000)
#define BACKOFF_FORGET_US  UINT64_C(60000000) /* of service make the next end a first one again */

struct backoff {
	uint64_t last; /* the last wait, 0: none yet */
};

/* The next wait; served is how long the daemon was serving, 0 when it never did. */
uint64_t backoff_next(struct backoff *b, uint64_t served_us);

#endif
