/*
 * faults: where a build with FAULTS=1 strikes beside the calls of a disk. kernel_faults.c, which is
 *in that build alone, stands before the C library and asks here at each such call; STAGEPOST_FAULTS
 *(disk.h) names them as ops of their own, which `*` does not mean:
 *
 *	memory	an allocation, by whomever: an errno fails it
 *	fork	an errno fails it
 *	accept	the same
 *	octets	each way of octets to or from a file or a stream socket:
 *		short=N	every second call is interrupted (EINTR), the others carry N octets at most
 *		lie	what is written to a file is said to be, and is not
 *
 * kill and delay are possible with each.
 */
#ifndef COMMON_OS_FAULTS_H
#define COMMON_OS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/os/disk.h"

enum fault_op {
	FAULT_MEMORY = DISK_OPS + 1,
	FAULT_FORK,
	FAULT_ACCEPT,
	FAULT_OCTETS,
	FAULT_OPS /* one more than the last */
};

struct fault {
	int error;     /* an errno: fail so; else 0 */
	int most;      /* carry no more octets than that; 0: no such rule */
	bool odd, lie; /* every second call; say that all is written */
};

/* Does a rule name it, for whatever role? */
bool fault_named(enum fault_op op);
/* Does nothing, and costs little, when no rule names that op. errno is kept. */
struct fault fault_point(enum fault_op op);

#endif
