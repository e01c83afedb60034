/*
 * disk_record: what a build with FAULTS=1 writes down of each call that changes a file system or
 * makes a change durable, so that a test can rebuild what a power failure would have left.
 * Private to disk.
 *
 *	STAGEPOST_DISK_RECORD=PATH: a file that is there; all processes append to it, each entry
 *	with one write, so that their order in the file is the order of things: what has an end
 *	before the begin of another was over before that began.
 *
 * An entry is a struct disk_entry, the role, a zero, the two names, each with a zero, and the
 * octets that are written. Files are named by device and inode.
 */
#ifndef COMMON_OS_DISK_RECORD_H
#define COMMON_OS_DISK_RECORD_H

#include "common/os/disk.h"

enum disk_phase { DISK_BEGINS, DISK_ENDS, DISK_MARK /* a test's own, never written here */ };

enum {
	DISK_ENTRY_MAGIC = 0x31525044, /* "DPR1" */
	DISK_LIED = 1,		       /* of disk_point(): say that it is done, and do nothing */
	DISK_ENTRY_LIED = 1000,	       /* no errno is as high: the result of such a call */
};

struct disk_entry {
	uint32_t magic, size; /* of the whole entry */
	uint64_t call;	      /* the same in begin and end; unique */
	uint32_t pid;
	uint8_t phase, op; /* enum disk_phase, enum disk_op */
	uint8_t skipped;   /* an end: the kernel was never asked, a fault has struck */
	uint8_t zero;
	int32_t result;		      /* an end: 0, or an errno */
	uint32_t flags;		      /* of open(2) and create */
	uint64_t device, inode;	      /* of fd: the file, or the directory of the first name */
	uint64_t to_device, to_inode; /* of the second name's directory; an end of open, create: of
				       * the file that is open now */
	uint64_t offset;	      /* of a write; UINT64_MAX: where the file stands */
	uint64_t length;	      /* of a write, allocate, truncate */
};

/* One call. Absent descriptors are -1, absent names NULL. */
struct disk_act {
	enum disk_op op;
	int fd, to_fd;
	const char *name, *to;
	const struct iovec *data;
	int count;
	uint64_t offset, length;
	uint32_t flags;
	uint64_t call; /* filled in by begin; 0: nothing is recorded */
};

/* Opens the record, before the sandbox; a no-op in a normal build, like the other two. */
void disk_record_open(const char *role);
void disk_record_begin(struct disk_act *a);
/* result: as the call returned it, with errno; skipped: it never went to the kernel. errno stays.
 */
void disk_record_end(const struct disk_act *a, int result, bool skipped);

#endif
