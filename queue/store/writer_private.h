/*
 * writer_private: what the writer's files share. writer.c keeps leases and ids, draft.c takes
 * messages in, commit.c makes batches durable, spill.c writes large files.
 *
 * Threads: everything belongs to the loop's thread, but what struct commit_job and struct
 * spill_list say. A thread and the loop hand work over under the mutex of struct worker.
 */
#ifndef QUEUE_STORE_WRITER_PRIVATE_H
#define QUEUE_STORE_WRITER_PRIVATE_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include "common/os/loop.h"
#include "queue/store/digest.h"
#include "queue/store/format.h"
#include "queue/store/twin.h"
#include "queue/store/writer.h"

enum {
	LEASES_WANTED = 2,	   /* the one in use and a spare */
	FRESH_AHEAD = 1024 * 1024, /* ids left when a new incarnation is asked for */
	COMMIT_HERE_US = 500, /* the loop commits itself while that takes no longer (mean), ... */
	COMMIT_CROWD = 4,     /* ... a commit has fewer messages (mean) ... */
	CROWD_UNIT = 64,
	COMMIT_HERE_MAX = 512 * 1024,	       /* ... octets are no more ... */
	COMMIT_LAG_US = 100 * 1000,	       /* ... and none took so long ... */
	COMMIT_LAG_REST_US = 60 * 1000 * 1000, /* ... in this time: each held all sessions */
	COMMIT_LOOKS = 3,		       /* for more messages, before a commit */
	BATCH_KEEP = 4 * 1024 * 1024,	       /* memory that a batch keeps while it is empty */
	SPILL_CHUNK = 128 * 1024,	       /* octets gathered for one write to a large file */
	WRITEBACK_LEAST = 256 * 1024, /* octets of it whose way to the disk begins at once */
	CHUNKS_SPARE = 8, /* buffers of SPILL_CHUNK and more that are kept for the next */
	FILES_SPARE = 4,  /* large files kept that came when nobody wanted them any more */
};

struct lease {
	TAILQ_ENTRY(lease) link;
	struct writer_lease is;
	int fd;
	uint64_t offset, sequence; /* of the next batch */
	uint32_t records;	   /* committed so far: ordinal of the next */
	bool given_up;		   /* the manager was lost while its last commit was under way */
};

TAILQ_HEAD(lease_list, lease);

typedef void writer_done(void *arg, int err);

/* A message in a batch. */
struct message {
	writer_done *done;
	void *arg;
	size_t at; /* of its record, in the batch's octets */
	uint32_t length;
	uint64_t file; /* its large file, 0 none */
};

/* Records one behind the other, as they go to the disk. */
struct batch {
	struct buffer octets;
	struct message *messages;
	struct writer_entry *entries; /* filled by the commit thread; as many as messages */
	size_t count, size;
	size_t next; /* the first that is not yet answered */
};

/* What is being committed; the commit thread's alone while that works on it. */
struct commit_job {
	struct lease *lease;
	struct batch *batch;
	size_t count;	 /* messages, from batch->next on */
	uint64_t length; /* of the write, with header and zeros */
	bool here;	 /* at this turn's end, not by the thread */
	int err;	 /* what came of it ... */
	uint64_t us;	 /* ... and how long it took */
};

/* A thread, and the lock under which it is given work. */
struct worker {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	bool stop;
};

/* A large file under way. hash, offset, begun and err are the spill thread's. */
struct large {
	uint64_t number;
	uint8_t nonce[NONCE_SIZE];
	int fd;
	struct draft *draft; /* NULL: nobody's (any more) */
	size_t under_way;    /* octets handed to the thread */
	bool finishing;	     /* its last operation is handed over */
	bool lost;	     /* with its manager: nobody is told */
	TAILQ_ENTRY(large) link;
	struct twin hash;
	uint64_t offset;
	uint64_t begun; /* up to here its way to the disk has begun */
	int err;
};

TAILQ_HEAD(large_list, large);

enum spill_kind {
	SPILL_WRITE,  /* the octets, at the end */
	SPILL_FINISH, /* the same, then sync, digest, close */
	SPILL_CLOSE   /* the file is not wanted any more */
};

struct spill {
	STAILQ_ENTRY(spill) link;
	enum spill_kind kind;
	struct large *file;
	struct buffer octets;
	int err;		     /* the thread's answer */
	uint64_t length;	     /* of the file, at SPILL_FINISH */
	uint8_t digest[DIGEST_SIZE]; /* the same */
};

STAILQ_HEAD(spill_list, spill);

struct draft {
	struct writer *w;
	uint64_t id;
	struct buffer held; /* octets of the body (at last of the header) not yet handed on */
	uint64_t size;	    /* of the body so far */
	int err;	    /* it can't be committed any more */
	void (*resume)(void *arg);
	void *resume_arg;
	bool in_files; /* counts as one of WRITER_FILES_MAX */
	bool waiting;  /* for a file, in writer.waiting */
	TAILQ_ENTRY(draft) link;
	struct large *file;
	TAILQ_ENTRY(draft) large_link; /* in writer.large: in_files */
	/* From draft_commit() on, for who lies in a file: */
	bool committing;
	struct buffer record; /* encoded but for its file */
	uint64_t header_length;
	writer_done *done;
	void *arg;
};

TAILQ_HEAD(draft_list, draft);

/* Somebody to be told in the next turn. */
struct answer {
	writer_done *done;
	void *arg;
	int err;
};

struct writer {
	struct writer_hooks hooks;
	struct loop_wake wake; /* by both threads, and by the writer itself for answers */
	struct loop_turn turn, blocking;
	bool lost;		    /* no manager */
	bool full;		    /* the manager gives nothing now */
	struct loop_timer patience; /* with the manager: runs while something waits for it */
	uint64_t patience_us;	    /* WRITER_PATIENCE_US */
	size_t memory;		    /* octets of messages: drafts, under way to files, in batches */
	size_t pending;
	size_t drafts;

	struct lease *lease; /* in use */
	struct lease_list spares;
	unsigned leases, leases_asked; /* held (with the one in use), wanted */
	bool fresh_asked;
	bool ids; /* a lease has said what follows */
	uint32_t spool, incarnation;
	uint64_t ids_dead; /* ids below it were drawn under a manager that is gone */
	uint32_t counter;  /* of the next id, from 1 */

	struct batch batches[2];
	struct batch *gathering, *committing;
	struct answer *answers;
	size_t answer_count, answer_size;

	bool commit_busy; /* job is handed over and not yet answered */
	struct commit_job job;
	uint64_t commit_us; /* what a commit takes: a moving average */
	uint64_t here_us;   /* COMMIT_HERE_US */
	uint64_t lagged;    /* when a commit took COMMIT_LAG_US, not long ago; 0: none did */
	uint64_t crowd;	    /* messages that a commit has: the same, in parts of CROWD_UNIT */
	struct digest hash; /* of the commits that the loop makes */
	unsigned looks;	    /* for more messages, before the next commit, ... */
	size_t looked_at;   /* ... and how many there were at the last one */
	struct worker committer;
	bool job_given, job_ready; /* under committer.mutex */

	struct draft_list waiting, large;
	struct large_list files_spare;
	unsigned waiting_count, large_count, spare_count, files_asked;
	struct worker spiller;
	struct spill_list to_spill, spilled; /* under spiller.mutex */
	struct buffer chunks[CHUNKS_SPARE];  /* empty, but with memory */
	size_t chunk_count;
};

/* writer.c */
void writer_answer_later(struct writer *w, writer_done *done, void *arg, int err);
void writer_end_lease(struct writer *w); /* closes the one in use */
void writer_watch(struct writer *w); /* at the turn's end: does anything wait for the manager? */
void writer_use_spare(struct writer *w); /* when none is in use; asks for what is missing */
void lease_free(struct lease *l);
void worker_start(struct worker *k, const char *name, void *(*run)(void *arg), void *arg);
void worker_stop(struct worker *k); /* and waits until it has done what it was given */
void worker_free(struct worker *k);

/* commit.c */
void commit_start(struct writer *w);
void commit_stop(struct writer *w); /* ends the commit under way, answered */
/* Adds a message to what is gathered: 0, or ENOSPC, or E2BIG for a record that is too large. */
int commit_add(struct writer *w, const struct stored_message *m, writer_done *done, void *arg);
int commit_add_record(struct writer *w, struct slice record, uint64_t file, writer_done *done,
		      void *arg);
void commit_turn(void *writer);		   /* at the turn's end: begins a commit */
void commit_blocking(void *writer);	   /* behind it: makes the one that is made here */
void commit_finish(struct writer *w);	   /* when the thread has answered */
bool commit_waits(const struct writer *w); /* is anything there that is not under way? */
/* Fails all that is not under way. */
void commit_fail_waiting(struct writer *w, int err);

/* spill.c */
void spill_start(struct writer *w);
void spill_stop(struct writer *w);
int spill_want(struct draft *d); /* a file for d: 0 it has one or waits, ENOSPC, ECONNRESET */
void spill_feed(struct draft *d, bool all); /* hands on what is held, when worth it */
void spill_finish(struct draft *d);	    /* hands on the rest */
void spill_abandon(struct draft *d);	    /* d needs no file any more */
void spill_finished(struct writer *w);	    /* when the thread has answered */
void spill_lost(struct writer *w);
void spill_fail_waiting(struct writer *w, int err); /* who has no file yet */

/* draft.c */
void draft_fail(struct draft *d, int err); /* it may be gone afterwards */
void draft_go_on(struct draft *d);	   /* calls resume() when it is time; may be gone too */
void draft_destroy(struct draft *d);

#endif
