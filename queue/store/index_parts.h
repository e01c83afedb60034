/*
 * index_parts: what the files of the index say to each other. Private to them.
 */
#ifndef QUEUE_STORE_INDEX_PARTS_H
#define QUEUE_STORE_INDEX_PARTS_H

#include "common/base/map.h"
#include "queue/store/index.h"

enum {
	INDEX_CHUNK = 1024,    /* stubs that are allocated at once */
	INDEX_CHUNKS_KEPT = 64 /* that stay when the last message has ended */
};

/* Live STATE lines of one ledger file. */
struct stated {
	uint32_t file;
	uint32_t live, all;
	uint64_t octets; /* of all */
};

struct index {
	size_t stride; /* octets of a stub with the manager's part */
	struct index_calls calls;
	struct slice (*fetch)(void *arg, struct place place);
	void *fetch_arg;

	char **chunks;
	size_t chunk_count;
	struct entry *free_slot; /* the first free stub */
	struct idmap *by_id;
	struct index_counts counts;
	uint64_t digest;

	struct segment_entry **segments; /* by number */
	uint32_t segment_count;		 /* size of the table */
	struct stated *stated;
	size_t stated_count;
	struct line_reserved reserved;
	struct line_time time;
	struct buffer scratch; /* of index_describe() */
};

/* index_state.c: the state of one message. */
void state_fill(struct index *ix, struct entry *e, const struct line_state *s);
void state_drop(struct index *ix, struct entry *e);
/* Loads it for a line that changes a recipient; when it can't be read, as at the arrival. */
void state_want(struct index *ix, struct entry *e);
void state_attempt(struct entry *e, const struct line_attempt *a);
void state_result(struct entry *e, const struct line_result *r);
/* Those with lower numbers than `below` (0: all) that were to be told. */
void state_told(struct entry *e, uint32_t below);
/* False: the numbers do not follow on those that are there. */
bool state_added(struct entry *e, const struct line_added *a);
/* Counts `attempts` as the highest, as far as a stub has room. */
void entry_attempts(struct entry *e, uint32_t attempts);

#endif
