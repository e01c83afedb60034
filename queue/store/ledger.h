/*
 * ledger: the chain of files that holds what is true of every message (queue/README.md, section
 * 4). Lines are applied to the index and gathered at once, written in one write by ledger_flush()
 * (which also runs at the turn's end), and synced by the helper within 100 ms.
 */
#ifndef QUEUE_STORE_LEDGER_H
#define QUEUE_STORE_LEDGER_H

#include "common/base/error.h"
#include "queue/store/helper.h"
#include "queue/store/index.h"

enum {
	LEDGER_FILE_SIZE = 16 * 1024 * 1024,
	LEDGER_CHAIN_LONG = 4,	   /* files; a longer chain is restated when half of it is dead */
	LEDGER_SPARES = 2,	   /* files that are always ready; never counted as free space */
	LEDGER_STEP = 500,	   /* messages that are restated in a turn */
	LEDGER_WINDOW_US = 100000, /* a line is synced within this */
};

struct ledger;

struct ledger_setup {
	int dirfd;	    /* spool/ledger */
	uint32_t file_size; /* LEDGER_FILE_SIZE; tests take less */
	uint64_t spool;	    /* id for a new spool */
	struct helper *helper;
	size_t extra;		  /* for index_new() */
	struct index_calls calls; /* fetch is the ledger's own */
	/* The ledger is safe again, or is not any more. May be NULL. */
	void (*changed)(void *arg, bool safe);
};

/* Reads the chain (blocks), builds the index, makes the end of the last file fit to be written on.
 * A directory without a ledger gets a new one only when `may_create`. */
struct ledger *ledger_open(const struct ledger_setup *setup, bool may_create, struct error *error);
/* Writes and syncs what there is (blocks). */
void ledger_close(struct ledger **l);

struct index *ledger_index(struct ledger *l);
uint64_t ledger_spool_id(const struct ledger *l);

/* Applies the line and gathers it. Positions count octets since the start of the process. */
void ledger_write(struct ledger *l, const struct line *line);
/* The lines written next, up to `octets` of them, lie in one frame: a crash leaves all or none. As
 * long as nobody calls ledger_flush() between them. */
void ledger_together(struct ledger *l, size_t octets);
uint64_t ledger_position(const struct ledger *l); /* after the last line written */
uint64_t ledger_synced(const struct ledger *l);
/* Hands what is gathered to the kernel. Call it before an act that lines announce leaves the
 * process. False: it failed or waits for a file; then no job may leave (ledger_safe()). */
bool ledger_flush(struct ledger *l);
/* False from a failed write or sync until a whole snapshot is synced: no job leaves meanwhile, no
 * lease is given. Lines go on being applied. */
bool ledger_safe(const struct ledger *l);

/* Lives in its owner until done() was called or it was cancelled. */
struct ledger_wait {
	TAILQ_ENTRY(ledger_wait) link;
	uint64_t position;
	bool soon;
	void (*done)(void *arg);
	void *arg;
	bool waiting;
};

/* Calls done(), from the loop, when everything before `position` is durable. soon: don't wait for
 * the periodic sync. */
void ledger_when_synced(struct ledger *l, struct ledger_wait *w, uint64_t position, bool soon,
			void (*done)(void *arg), void *arg);
void ledger_wait_cancel(struct ledger *l, struct ledger_wait *w);

/* Gives the message at rest its state. 1: it has it now. 0: done(arg, entry, err) will be called
 * (entry NULL: the message ended meanwhile). -1 and errno: EAGAIN too much at once. When its line
 * turns out to be damaged the message is made MESSAGE_CORRUPT with a state as at its arrival, and
 * err is EBADMSG. */
int ledger_load(struct ledger *l, struct entry *e,
		void (*done)(void *arg, struct entry *e, int err), void *arg);

/* For verify: while held, no file leaves the chain. */
void ledger_hold(struct ledger *l);
void ledger_unhold(struct ledger *l);
struct ledger_part {
	int fd; /* stays the ledger's */
	struct ledger_header header;
	uint32_t end; /* octets that were written */
};
/* The files of the chain, oldest first, as they are after a flush; the caller frees the array. */
size_t ledger_parts(struct ledger *l, struct ledger_part **parts);

/* Octets of all files, for the spool's size. */
uint64_t ledger_octets(const struct ledger *l);
size_t ledger_chain(const struct ledger *l); /* files */

#endif
