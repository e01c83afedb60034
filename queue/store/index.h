/*
 * index: all that the ledger says, in memory: a stub for each live message, the table of segments,
 * numbers, time. It changes only by index_apply(); the running manager and recovery call it with
 * the same lines. No input or output here, and no globals: verify builds a second one in the
 * helper.
 */
#ifndef QUEUE_STORE_INDEX_H
#define QUEUE_STORE_INDEX_H

#include "queue/store/ledger_format.h"

enum {
	ENTRY_SIZE = 72,       /* of a stub */
	ENTRY_WHOLE_MAX = 128, /* with the manager's part */
	ENTRY_RECIPIENTS_MASK = (1 << 18) - 1,
	ENTRY_ATTEMPTS_MAX = (1 << 14) - 1,
};

/* Where a line lies in the ledger. */
struct place {
	uint32_t file; /* sequence; 0: nowhere yet (the ledger waits for a new file) */
	uint32_t offset;
};

/* A message that has not ended. Read it; only index_apply() writes it. It stays where it is until
 * it ends. The manager's own octets follow it: entry_extra(). */
struct entry {
	uint64_t id;
	uint64_t next;				   /* queue time, as last written */
	uint64_t file;				   /* number of its large file, 0 none */
	struct message_state *state;		   /* NULL: at rest */
	uint32_t segment, offset, length, ordinal; /* its record */
	struct place place;			   /* of its newest STATE line */
	uint32_t mark;				   /* CRC-32C of that line */
	uint32_t arrived;			   /* queue time in seconds */
	uint32_t alive : 18;			   /* recipients that have not ended */
	uint32_t attempts : 14;			   /* the highest of its recipients', cut */
	uint32_t count : 18;			   /* recipients */
	uint32_t disposition : 6;		   /* enum disposition */
	uint32_t deaths : 8;			   /* of agents that held it alone */
};

static inline void *entry_extra(struct entry *e)
{
	return e + 1;
}

struct recipient_state {
	uint64_t next; /* queue time */
	uint16_t attempts;
	uint8_t status;			/* enum recipient_status */
	struct reply reply;		/* the last; the text is the state's */
	struct slice address, original; /* of one that was added; else empty: it is in the record */
};

/* Of an active message. The manager reads it; it moves when the message is expanded, so go by
 * entry->state. Texts and added addresses are the state's own, and live as long as it. */
struct message_state {
	uint8_t
	    digest[DIGEST_SIZE]; /* record_digest(); all zero: not known (its line was damaged) */
	uint32_t received;	 /* recipients of the record; those from here on were added */
	uint32_t count, room;	 /* recipients; there is memory for */
	uint64_t octets;	 /* of its STATE line at most, without texts */
	struct arena texts;
	struct slice last[2]; /* that were kept: what repeats is kept once */
	uint32_t chain; /* CRC-32C over the lines that changed it since its STATE line; 0: none */
	bool changed;	/* by such lines */
	bool resting;	/* to be forgotten as soon as it is stated: the ledger waits for a file */
	struct recipient_state recipients[];
};

struct segment_entry {
	struct line_segment line; /* state, lease, known, ... */
	uint32_t live;		  /* messages whose record lies here */
	uint64_t live_octets;
	uint64_t ended_at; /* ledger position after the last line that ended one or took it away */
};

struct index_counts {
	size_t messages, by_disposition[DISPOSITIONS];
	size_t recipients; /* alive */
	size_t states;	   /* loaded */
};

struct index_calls {
	/* Called before a message that has ended is removed. May be NULL. */
	void (*ended)(void *arg, struct entry *e);
	void *arg;
};

struct index;

/* extra: octets behind each stub, zero at first. */
struct index *index_new(size_t extra, const struct index_calls *calls);
void index_free(struct index **ix);
void index_set_calls(struct index *ix, const struct index_calls *calls);
/* In replay states are loaded by fetch(), which gives the octets of a STATE line (empty: it can't
 * be read), and forgotten at the next STATE line. NULL: replay is over. */
void index_replay(struct index *ix, struct slice (*fetch)(void *arg, struct place place),
		  void *arg);

/* Applies one line that lies (or will lie) at `place` and ends before `position`. raw: the line's
 * own octets. False: the line contradicts what is known (of a message that is not here: ignored and
 * true). */
bool index_apply(struct index *ix, const struct line *l, struct slice raw, struct place place,
		 uint64_t position);

struct entry *index_get(const struct index *ix, uint64_t id);
/* Resumable walk in no order: from *cursor (0 at first) over at most `most` places; false at the
 * end. The index may change between and during calls; what came in meanwhile may show or not. */
bool index_walk(struct index *ix, size_t *cursor, size_t most,
		void (*call)(void *arg, struct entry *e), void *arg);
const struct index_counts *index_counts(const struct index *ix);
size_t index_octets(const struct index *ix); /* of memory for stubs */

/* Gives the message its state: from its STATE line, or as at its arrival. False: the line is not
 * that message's newest (mark), or malformed. */
bool index_load(struct index *ix, struct entry *e, struct slice raw);
void index_load_fresh(struct index *ix, struct entry *e, const uint8_t digest[DIGEST_SIZE]);
/* Forgets it; only when nothing has changed since its STATE line. */
void index_unload(struct index *ix, struct entry *e);
/* A STATE line from memory (e->state) or, when it is at rest, from its present STATE line `old`
 * with what the stub knows better. Slices live until the next call. */
bool index_describe(struct index *ix, const struct entry *e, struct slice old,
		    struct line_state *out);

/* An ADDED line: a recipient is replaced by `count` others (address and original count). False: too
 * many, or a STATE line would have no room for them. */
bool index_describe_added(struct index *ix, const struct entry *e, uint32_t recipient,
			  const struct line_recipient *added, size_t count, struct line_added *out);

/* Table of segments: NULL when the number was never seen or it is free. */
struct segment_entry *index_segment(const struct index *ix, uint32_t number);
/* The next one that is not free, from *cursor on (0 at first); NULL at the end. */
struct segment_entry *index_segment_next(const struct index *ix, uint32_t *cursor);

const struct line_reserved *index_reserved(const struct index *ix);
const struct line_time *index_time(const struct index *ix); /* the last TIME line */

/* How many messages have their newest STATE line in that ledger file, and about how many octets
 * those lines are. */
size_t index_stated(const struct index *ix, uint32_t file, uint64_t *octets);
void index_file_gone(struct index *ix, uint32_t file);

/* The sum of a hash over each message and each segment, kept by index_apply(). */
uint64_t index_digest(const struct index *ix);

#endif
