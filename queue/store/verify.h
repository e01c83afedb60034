/*
 * verify: replays the ledger from disk in the helper, up to a moment, compares with the index as it
 * was at that moment, then reads every live record and the head of every large file and checks
 * CRC and digest. A bounded number a turn; the store works on meanwhile.
 */
#ifndef QUEUE_STORE_VERIFY_H
#define QUEUE_STORE_VERIFY_H

#include "queue/store/ledger.h"

enum { VERIFY_NAMED = 64, VERIFY_TEXT = 160 };

struct verify_result {
	bool complete; /* false: reading failed or the ledger was not safe; see problem[0] */
	size_t messages, recipients;	       /* in memory at that moment */
	size_t disk_messages, disk_recipients; /* by the replay */
	bool digest_equal;
	size_t records, files; /* that were read */
	size_t problems;       /* of records and files, and differences */
	size_t named;	       /* of them, the first VERIFY_NAMED in words */
	char problem[VERIFY_NAMED][VERIFY_TEXT];
};

typedef void verify_done(void *arg, const struct verify_result *result);

struct verify;
struct segments;

struct verify *verify_start(struct ledger *l, struct segments *s, struct helper *h,
			    verify_done *done, void *arg);
void verify_free(struct verify **v); /* waits for its job; done() is not called any more */

#endif
