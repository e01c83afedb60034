/*
 * ledger_parts: what the files of the ledger say to each other. Private to them.
 */
#ifndef QUEUE_STORE_LEDGER_PARTS_H
#define QUEUE_STORE_LEDGER_PARTS_H

#include "common/base/map.h"
#include "common/os/loop.h"
#include "queue/store/ledger.h"

enum {
	LEDGER_SYNC_DELAY_US = LEDGER_WINDOW_US / 2, /* the sync itself takes time too */
	LEDGER_RETRY_US = 1000000,		     /* after a failure */
	LEDGER_BATCH = 256,			     /* STATE lines that the helper reads at once */
	LEDGER_PENDING_KEEP = 4 * 1024 * 1024,	     /* memory kept for the next frame */
	LEDGER_LINE_KEEP = 64 * 1024,		     /* the same for a line that was read */
	LEDGER_READ_MOST = 16 * 1024 * 1024,	     /* octets of lines read at once, about */
	LEDGER_FILES_MAX = 65536,		     /* in the directory */
	LEDGER_SYNC_FILES = 16,			     /* dirty ones that one sync takes */
	LEDGER_FREE_KEPT = 4,			     /* slots that stay when nobody needs them */
	LINE_READ_FIRST = 4096,			     /* most STATE lines are shorter: one read */
};

/* A file of the chain, or a spare (then its header means nothing yet). */
struct ledger_file {
	TAILQ_ENTRY(ledger_file) link;
	uint32_t slot; /* its name */
	int fd;
	struct ledger_header header;
	uint32_t end;	     /* octets that were written */
	uint32_t syncing;    /* octets that the sync under way covers */
	uint32_t synced_end; /* octets that are durable; 0: not even its header */
	bool dirty;
};
TAILQ_HEAD(ledger_files, ledger_file);
TAILQ_HEAD(ledger_waits, ledger_wait);

enum ledger_mode {
	LEDGER_NORMAL,
	LEDGER_WAITING,	 /* something failed; waits for files for a snapshot */
	LEDGER_SNAPSHOT, /* which is being written, or not synced yet */
};

struct sync_job {
	struct helper_job job;
	struct ledger *l;
	bool out;
	int fds[LEDGER_SYNC_FILES];
	size_t count;
	uint64_t target; /* position */
	bool all;	 /* no dirty file was left out */
	int err;
};

struct spare_job {
	struct helper_job job;
	struct ledger *l;
	bool out;
	uint32_t slot;
	bool remove; /* the file, instead of preparing it */
	int fd;
	int err;
};

/* A STATE line to be read. */
struct line_read {
	uint64_t id;
	struct place place;
	int fd;
	struct buffer raw;
	int err;
};

/* A frame whose write failed: its STATE lines are read from here until all is stated anew. */
struct lost_frame {
	SLIST_ENTRY(lost_frame) link;
	struct place place;
	size_t len;
	char *data;
};

/* Restating: of the oldest file's messages, or of all for a snapshot. */
struct restate {
	struct helper_job job;
	struct ledger *l;
	bool active, out;
	uint32_t file; /* the file to be emptied; for a snapshot: first sequence of the new ones */
	bool snapshot;
	size_t cursor;
	struct line_read *reads; /* LEDGER_BATCH */
	size_t count;		 /* of them, in use; the helper has read `have`, ... */
	size_t have, taken;	 /* ... of which so many were stated */
};

struct ledger {
	struct ledger_setup setup;
	struct index *ix;
	uint64_t spool;
	uint32_t file_size;
	uint32_t highest; /* sequence that was ever used */

	struct ledger_files chain, spares; /* oldest first */
	size_t chain_count, spare_count;
	uint32_t *free_slots; /* numbers of files that are not in use and not prepared */
	size_t free_count, free_size;
	uint32_t next_slot; /* a name that is not there yet */

	char *pending; /* a frame under way: head, lines */
	size_t pending_len, pending_size;
	uint32_t pending_at; /* its offset in the last file of the chain */
	SLIST_HEAD(, lost_frame) lost;

	uint64_t position, written, synced;
	enum ledger_mode mode;
	uint64_t snapshot_end; /* position after SNAPSHOT_END; 0: not written yet */
	uint32_t oldest;       /* what the next header may say */
	uint32_t oldest_next;  /* as soon as oldest_at is synced; 0 none */
	uint64_t oldest_at;
	unsigned held, reading; /* verify and loads that use files of the chain */

	struct ledger_waits waits; /* by position */
	bool soon;
	struct loop_timer sync_timer, retry_timer, wait_timer;
	struct loop_turn turn;
	struct sync_job sync;
	struct spare_job spare;
	struct restate restate;
	char *scratch; /* a line when it can't be gathered */
	bool look;     /* whether the chain is long enough to be restated */
	bool closing;
};

struct ledger_file *ledger_last(struct ledger *l);
struct ledger_file *ledger_file_of(struct ledger *l, uint32_t sequence);
void ledger_file_name(uint32_t slot, char name[16]);
void ledger_slot_add(struct ledger *l, uint32_t slot);

/* ledger_read.c: fills chain, free slots and index from the directory. */
bool ledger_read(struct ledger *l, bool may_create, struct error *error);

/* ledger.c */
/* Until all is stated in new files. */
void ledger_fail(struct ledger *l, const char *what, int err);
void ledger_sync_start(struct ledger *l);
void ledger_sync_wait(struct ledger *l); /* flushes and syncs now, in this thread */

/* ledger_chain.c */
bool ledger_rotate(struct ledger *l, bool snapshot);
void ledger_write_head(struct ledger *l);
void ledger_spares_fill(struct ledger *l);
void ledger_drop_old(struct ledger *l);	     /* files that no header needs any more */
void ledger_spare_make(struct spare_job *s); /* run() of the helper's job */

/* ledger_restate.c */
void ledger_restate_step(struct ledger *l);
void ledger_restate_stop(struct ledger *l);
void ledger_snapshot_try(struct ledger *l);
void ledger_restate_free(struct ledger *l);

/* ledger_load.c: a line in memory, when it is (pending, or its write failed). */
void ledger_lost_keep(struct ledger *l);
void ledger_lost_free(struct ledger *l);
struct slice ledger_line_here(struct ledger *l, struct place place);
/* Reads one line of a file: from what the kernel has (EAGAIN) or waiting for the disk. */
int ledger_line_read(int fd, uint32_t offset, bool wait, struct buffer *raw);
/* Writes a STATE line of a message whose own can't be read: as at its arrival, and set aside. */
void ledger_state_damaged(struct ledger *l, struct entry *e);

#endif
