/*
 * recover: what a start makes of a spool as it lies on the disk, by the store that the manager
 * uses, in this process: opened, scanned, every message read as for a delivery. For the programs
 * that try thousands of damaged or half-written spools; `recover DIR` (recover_main.c) shows it for
 * one.
 */
#ifndef TESTS_CRASH_RECOVER_H
#define TESTS_CRASH_RECOVER_H

#include "common/base/buffer.h"
#include "queue/store/spool.h"

enum { RECOVERED_ADDRESSES = 512, RECOVER_LOG_MAX = 1024 * 1024 };

struct recovered_message {
	uint64_t id;
	uint32_t disposition;	  /* enum disposition, after it was read */
	bool whole;		  /* it was read, and a delivery would go out with this: */
	uint8_t sum[DIGEST_SIZE]; /* SHA-256 of reverse-path, received recipients, trace, content */
	uint32_t alive;
	char addresses[RECOVERED_ADDRESSES]; /* of the recipients alive: "a@b c@d ", cut */
};

struct recovered {
	struct error refusal;		    /* code 0: it was opened */
	bool done;			    /* within the time: scanned, synced, all read */
	struct recovered_message *messages; /* by rising id */
	size_t count;
	size_t unscanned;  /* segments that can't be read now */
	size_t set_aside;  /* files in corrupt/ */
	size_t torn;	   /* segments whose last batch was not whole */
	size_t complaints; /* lines of the log, of level error */
	struct buffer log;
};

struct recover_limits {
	uint32_t segment_size, ledger_size; /* 0: the product's */
	uint64_t time_us;
};

/* Opens the spool at dirfd, waits for its recovery, reads all, and closes it as a stop does. What
 * is found damaged is set aside as the manager does it. Blocks; runs the loop. */
void recover_run(int dirfd, const struct recover_limits *limits, struct recovered *r);
void recovered_free(struct recovered *r);
const struct recovered_message *recovered_find(const struct recovered *r, uint64_t id);

#endif
