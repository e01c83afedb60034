/*
 * spool: the manager's face of the store. One struct spool is everything below the spool's
 * directory: ledger, index, segments, large files. All calls are made in the loop's thread; done()
 * comes in the loop, never from inside the call.
 *
 * A message's life: arrived (spool_notice, or a scan) with its state loaded; spool_attempt and
 * spool_result as deliveries go; spool_rest when nothing is under way (its state is forgotten, a
 * stub stays); spool_load to make it active again; it ends with its last recipient.
 */
#ifndef QUEUE_STORE_SPOOL_H
#define QUEUE_STORE_SPOOL_H

#include "queue/store/ledger.h"
#include "queue/store/segments.h"
#include "queue/store/verify.h"

enum {
	SPOOL_LOCK_WAIT_US = 10 * 1000 * 1000, /* for an old manager that is dying */
	SPOOL_STEP = 1000,		       /* messages a walk handles in a turn */
	SPOOL_TOLD_MAX = 5000,		       /* recipients that one notification tells of */
};

struct spool;

struct spool_setup {
	int dirfd;	       /* the spool's directory; stays the caller's */
	struct helper *helper; /* made before the sandbox */
	const char *boot_id;   /* /proc/sys/kernel/random/boot_id, read before the sandbox */
	size_t extra;	       /* the manager's octets behind each stub: entry_extra() */
	uint64_t spool_size, spool_free; /* limits; 0 none */
	uint64_t lock_wait_us; /* for an old manager that is dying; 0: SPOOL_LOCK_WAIT_US */
	uint32_t segment_size, ledger_size; /* 0: as usual; tests take less */

	/* A message that a scan found in an old segment: as after spool_notice(). */
	void (*arrived)(void *arg, struct entry *e);
	/* A notification has come by spool_notice(): is it the answer to a question that is under
	 * way, and does it tell just what spool_told_mark() says of its parent? False, or NULL: it
	 * is refused: its record counts as ended, nobody hears of it. True: arrived() follows; the
	 * manager calls spool_told(parent) here or there, before anything else and without a flush
	 * between, so that both survive a crash or neither. What a scan finds is always refused:
	 * its parent was not told, so it is made again. */
	bool (*welcome)(void *arg, uint64_t parent, uint32_t mark);
	/* Called before a message leaves the index (its last recipient ended, or it was deleted).
	 */
	void (*ended)(void *arg, struct entry *e);
	/* The ledger became safe or unsafe: no job may leave while it is not. May be NULL. */
	void (*safe)(void *arg, bool safe);
	void *arg;
};

/* Blocks: makes the directories, takes queue.lock (waits up to SPOOL_LOCK_WAIT_US), reads the
 * ledger. After it the index is whole but for segments whose lock is not free or that are not
 * scanned yet: recovery begins when the loop runs. */
struct spool *spool_open(const struct spool_setup *setup, struct error *error);
/* New limits, as in the setup. */
void spool_limit(struct spool *sp, uint64_t spool_size, uint64_t spool_free);
/* Writes and syncs (blocks). */
void spool_close(struct spool **sp);

/* Microseconds of queue time (queue/README.md, section 8) as of this turn of the loop; and the wall
 * clock's for people. */
uint64_t spool_now(const struct spool *sp);
/* Queue time now, from the last TIME line (queue 0: none): pure, for spool_open(). */
uint64_t spool_time_after(const struct line_time *last, const char *boot_id, uint64_t boot,
			  uint64_t wall);
uint32_t spool_number(const struct spool *sp); /* the spool's part of queue ids */

struct entry *spool_get(struct spool *sp, uint64_t id);
/* At most SPOOL_STEP a call; see index_walk(). */
bool spool_walk(struct spool *sp, size_t *cursor, void (*call)(void *arg, struct entry *e),
		void *arg);
const struct index_counts *spool_counts(const struct spool *sp);

struct spool_status {
	uint64_t ledger_octets, segment_octets, free_octets;
	size_t ledger_files, segments, segments_free, leased, unscanned;
	bool safe, pressure;
};
void spool_status(const struct spool *sp, struct spool_status *status);

/* Writers. writer: a number that the manager gives each channel, never twice in its life.
 * *incarnation: 0 at first, or again when the writer asks for a fresh one; filled in. */
void spool_lease(struct spool *sp, uint32_t writer, uint32_t *incarnation, segments_leased *done,
		 void *arg);
void spool_lease_cancel(struct spool *sp, void *arg);
void spool_file(struct spool *sp, uint32_t writer,
		void (*done)(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd),
		void *arg);
/* False, all three: the writer is broken; close its channel and call spool_writer_lost(). notice
 * calls setup.arrived for each message before it returns. */
bool spool_notice(struct spool *sp, uint32_t writer, uint64_t lease,
		  const struct writer_entry *entries, size_t count);
bool spool_sealed(struct spool *sp, uint32_t writer, uint64_t lease, uint32_t records, uint64_t end,
		  bool failed);
bool spool_file_abandoned(struct spool *sp, uint32_t writer, uint64_t number);
/* Its channel is closed: its segments are scanned as soon as their locks are free. */
void spool_writer_lost(struct spool *sp, uint32_t writer);

/* Deliveries. The message's state is loaded. Lines leave with spool_flush(). */
void spool_attempt(struct spool *sp, struct entry *e, uint32_t recipient);
/* True: that ended the message, e is gone. status: DEFERRED (with next), FAILED, REACHED,
 * DELIVERED, DELETED, BOUNCED (failed, and nobody is to be told), or PENDING: the attempt did not
 * take place. */
bool spool_result(struct spool *sp, struct entry *e, uint32_t recipient,
		  enum recipient_status status, uint64_t next, const struct reply *reply);
/* A notification tells of the first SPOOL_TOLD_MAX recipients that are FAILED or REACHED: those
 * below this number. When they are told the next one tells of the others. The state is loaded. */
uint32_t spool_told_below(const struct entry *parent);
/* CRC-32C over number and status of each of them; 0: there are none. */
uint32_t spool_told_mark(const struct entry *parent);
/* They are told: FAILED become BOUNCED, REACHED become DELIVERED, by one line. True: that ended the
 * message, parent is gone. */
bool spool_told(struct spool *sp, struct entry *parent);
/* The agent died while it held this message alone. */
void spool_suspect(struct spool *sp, struct entry *e);
/* Its record was read: does it fit what is known of the message? Of one that was found by a scan
 * which could not read it, all is known from now on; a notification, which nobody waits for any
 * more, has ended by that: spool_get() has none. */
bool spool_known(struct spool *sp, struct entry *e, struct slice record,
		 const struct stored_message *m);
/* Around each look at a message's record: false: it must not be looked at, three managers in a row
 * have died of it. Costs a write where the message is older than this start. */
bool spool_look(struct spool *sp, uint64_t id);
void spool_looked(struct spool *sp);
/* Replaces a recipient by others. False: there would be over RECIPIENTS_ADDED_MAX added ones, or
 * an address is over ADDRESS_KEPT_MAX; nothing was changed. None at all ends the recipient: true in
 * *ended when that ended the message. */
struct spool_address {
	struct slice address, original; /* original: what the sender wrote */
};
bool spool_expand(struct spool *sp, struct entry *e, uint32_t recipient,
		  const struct spool_address *added, size_t count, bool *ended);
/* Nothing of it is under way: what has changed is stated, its state is forgotten. An attempt that
 * is still open counts as not made. */
void spool_rest(struct spool *sp, struct entry *e, enum disposition disposition, uint64_t next);
/* Of any message, active or not: held, released, tried sooner. */
void spool_dispose(struct spool *sp, struct entry *e, enum disposition disposition, uint64_t next);
/* All recipients that have not ended are deleted; e is gone. */
void spool_delete(struct spool *sp, struct entry *e);

/* See ledger.h: before acts leave; false: no job may leave now. */
bool spool_flush(struct spool *sp);
bool spool_safe(const struct spool *sp);
/* Calls done() when all lines written so far are durable. */
void spool_when_synced(struct spool *sp, struct ledger_wait *wait, bool soon,
		       void (*done)(void *arg), void *arg);
void spool_wait_cancel(struct spool *sp, struct ledger_wait *wait);

/* See ledger_load() and segments_read(): 1 there, 0 done() will be called, -1 and errno. The
 * message may end before done(): it gets NULL then (load), or ECANCELED (read). */
int spool_load(struct spool *sp, struct entry *e, void (*done)(void *arg, struct entry *e, int err),
	       void *arg);
int spool_read(struct spool *sp, struct entry *e, struct buffer *buffer,
	       void (*done)(void *arg, int err), void *arg);
/* A large file for a job, read only; the caller owns fd. */
void spool_file_open(struct spool *sp, struct entry *e, void (*done)(void *arg, int fd, int err),
		     void *arg);
/* Octets of it, as many as out's limit and the file allow, unproven: to be shown, not to be sent.
 */
void spool_file_read(struct spool *sp, struct entry *e, uint64_t offset, struct buffer *out,
		     void (*done)(void *arg, int err), void *arg);

/* Mail that stays moves to segments of the manager's own: call it when a message goes to rest; it
 * takes place within MOVE_DELAY_US when the message is still there. */
void spool_stays(struct spool *sp, struct entry *e);

/* Compares what is in memory with what is on disk; done() gets the differences. False: one is under
 * way. */
bool spool_verify(struct spool *sp, verify_done *done, void *arg);

#endif
