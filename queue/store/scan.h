/*
 * scan: reads a leased segment and says what in it can be believed (queue/README.md, section 3).
 */
#ifndef QUEUE_STORE_SCAN_H
#define QUEUE_STORE_SCAN_H

#include "queue/store/writer.h"

struct scan_request {
	int fd; /* readable */
	uint64_t lease;
	uint8_t nonce[NONCE_SIZE];
	uint64_t size;	/* of the segment */
	uint32_t known; /* ordinals below it are known to the ledger */
};

struct scan_result {
	uint32_t records; /* one more than the highest ordinal seen */
	uint64_t end;	  /* where the good part ends */
	uint32_t damaged; /* regions */
	bool torn;	  /* at `end` begins a batch of this lease that is not whole */
};

struct scan_calls {
	/* A record that is believed, in order; entry has everything but recipients checked against
	 * the record itself. */
	void (*record)(void *arg, const struct writer_entry *entry);
	void (*damage)(void *arg, uint64_t offset, uint64_t length);
	/* Before a record is read; false: it is told unread. May be NULL. */
	bool (*look)(void *arg, uint64_t id);
	void *arg;
};

/* False and errno in error->code when reading itself fails. Blocks; call it in a helper thread. */
bool scan_segment(const struct scan_request *request, const struct scan_calls *calls,
		  struct scan_result *result, struct error *error);

#endif
