/*
 * writer: the face of the store for those who put messages in (smtpd, later submission and
 * bounce). It appends to a segment that the manager has lent, with one pwritev and one fdatasync a
 * turn, in a thread (while that is fast and few messages come together, in the loop), and writes
 * large messages to files of their own in another thread.
 *
 * The writer talks with the manager through its owner: what it wants to say is in writer_hooks;
 * what the manager says comes in by writer_take_lease(), writer_take_file(), writer_lost().
 * Everything is called in the loop's thread; done() and resume() too.
 */
#ifndef QUEUE_STORE_WRITER_H
#define QUEUE_STORE_WRITER_H

#include "queue/store/record.h"

enum {
	DRAFT_MEMORY_MAX = 256 * 1024,	      /* one unfinished message */
	WRITER_MEMORY_MAX = 64 * 1024 * 1024, /* all of a process */
	WRITER_FILES_MAX = 256,		      /* large files under way */
	WRITER_PATIENCE_US = 30000000,	      /* for a lease or a file that was asked for */
};

struct writer;
struct draft;

struct writer_lease {
	uint64_t number;
	uint8_t nonce[NONCE_SIZE];
	uint32_t segment;
	uint64_t size;	      /* octets of the segment */
	uint32_t spool;	      /* for queue ids */
	uint32_t incarnation; /* they only grow: fresh for this writer when over its last one */
};

/* One committed message, for the manager's eyes: numbers only. */
struct writer_entry {
	uint64_t id;
	uint64_t offset; /* of the record in the segment */
	uint32_t length;
	uint32_t ordinal;
	uint64_t file; /* number of its large file, 0 none */
	uint32_t recipients;
	uint32_t origin;	     /* CRC-32C of the record's user, else client, for fairness */
	uint8_t digest[DIGEST_SIZE]; /* record_digest() */
	uint64_t parent;	     /* of a notification: what it reports on, else 0 */
	uint32_t parent_mark;
	bool held;   /* it arrives held: not tried before it is released */
	bool unread; /* by a scan: the record is deadly to who reads it; of it only the place is
		      * known */
};

struct writer_hooks {
	/* A segment is wanted (from writer_found() on, whenever there is no spare). fresh: with a
	 * new incarnation, the counter of the old one is used up. */
	void (*want_lease)(void *arg, bool fresh);
	void (*want_file)(void *arg);
	/* These are durable; called after their done(). */
	void (*notice)(void *arg, uint64_t lease, const struct writer_entry *entries, size_t count);
	/* The segment is full: so many records, good up to `end`. */
	void (*sealed)(void *arg, uint64_t lease, uint32_t records, uint64_t end);
	/* A commit failed: the same, and the segment must not be lent again before it was looked
	 * at. */
	void (*failed)(void *arg, uint64_t lease, uint32_t records, uint64_t end, int err);
	/* A large file that no message uses. */
	void (*abandoned)(void *arg, uint64_t file);
	void *arg;
};

/* Makes the threads: call it before the sandbox. It asks for nothing until writer_found(). */
struct writer *writer_new(const struct writer_hooks *hooks);
/* After its drafts. Waits for the commit under way; what else was handed in fails ECONNRESET. */
void writer_free(struct writer **w);

/* The writer owns fd from here on. */
void writer_take_lease(struct writer *w, const struct writer_lease *lease, int fd);
void writer_take_file(struct writer *w, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd);
/* The manager is gone: the commit under way is finished and answered, then leases, spares and
 * files are given up (closed), and drafts that began before fail at their commit. want_lease is
 * called when the owner calls writer_found(). */
void writer_lost(struct writer *w);
void writer_found(struct writer *w);
/* While the manager is full: what would have to wait for a lease or a file fails ENOSPC. */
void writer_pressure(struct writer *w, bool full);

/* Can a message begin now? False: no lease (451 4.3.0) or too much in memory (452 4.3.1). */
enum writer_state { WRITER_READY, WRITER_NO_LEASE, WRITER_FULL };
enum writer_state writer_state(const struct writer *w);
/* A new queue id; 0 without lease. */
uint64_t writer_draw_id(struct writer *w);
/* Commits not yet answered. */
size_t writer_pending(const struct writer *w);

/* A message under way. The header block and trace are given at the end; the body as it comes. */
struct draft *draft_new(struct writer *w, uint64_t id);
void draft_free(struct draft **d); /* abandons it; not between draft_commit and done() */
enum draft_result {
	DRAFT_OK,    /* taken */
	DRAFT_WAIT,  /* taken; give nothing more until resume() is called */
	DRAFT_FULL,  /* no memory or file for it now: 452 4.3.1 */
	DRAFT_FAILED /* its file can't be written: 451 4.3.0 */
};
enum draft_result draft_body(struct draft *d, struct slice octets, void (*resume)(void *arg),
			     void *arg);
uint64_t draft_body_size(const struct draft *d);
/* Hands the message in: m->body is ignored (draft_body gave it), header and trace are copied.
 * done(arg, 0) once it is durable, or done(arg, errno) when it is not and never will be believed:
 * EIO and so on 451, ENOSPC EDQUOT 452, ECONNRESET the manager was lost, ETIMEDOUT it has
 * been silent for WRITER_PATIENCE_US. The draft is freed
 * by the writer. */
void draft_commit(struct draft **d, const struct stored_message *m,
		  void (*done)(void *arg, int err), void *arg);

#endif
