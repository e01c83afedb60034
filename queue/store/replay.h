/*
 * replay: files of the ledger into an index, piece by piece: at a start, and in verify's helper
 * jobs. Private to the store.
 */
#ifndef QUEUE_STORE_REPLAY_H
#define QUEUE_STORE_REPLAY_H

#include "queue/store/ledger.h"

struct replay {
	struct ledger_part *parts; /* in order; owned */
	size_t part_count;
	size_t current; /* the one that is read now */
	char *data;	/* its octets */
	size_t len;
	uint32_t at;		       /* behind the last good frame */
	uint32_t synced;	       /* of this file, as its frames say; 0: none does */
	struct index *base, *snapshot; /* snapshot: between BEGIN and END */
	size_t extra, contradictions;  /* lines that did not fit the others */
	struct buffer line;
};

void replay_begin(struct replay *r, size_t extra);
/* Reads a file whole; false and errno. */
bool replay_open(struct replay *r, size_t part);
/* Frames of about that many octets; false at the first that is none. */
bool replay_some(struct replay *r, uint32_t octets);
/* After the last good frame: is the file cut off, or does a frame behind say that more of it was
 * durable than can be read? A crash leaves no such thing. */
bool replay_is_damaged(const struct replay *r);
/* The index, which is the caller's now and out of replay. */
struct index *replay_take(struct replay *r);
void replay_end(struct replay *r);

#endif
