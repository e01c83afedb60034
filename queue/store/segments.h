/*
 * segments: the pool of segment files and large files: lends them to writers, hears what was
 * committed, frees and lends again; reads records. For spool.c and its neighbours; the manager
 * goes by spool.h.
 */
#ifndef QUEUE_STORE_SEGMENTS_H
#define QUEUE_STORE_SEGMENTS_H

#include "queue/store/ledger.h"
#include "queue/store/writer.h"

enum {
	SEGMENT_SIZE = 16 * 1024 * 1024,
	SEGMENT_SPARES = 2,	 /* prepared in advance for writers */
	SEGMENT_RESERVE = 2,	 /* never lent to writers: room for mail that is moved */
	FILE_SPARES = 4,	 /* large files made in advance */
	SEGMENT_READERS = 64,	 /* descriptors kept open for reading */
	SPOOL_LOOK_US = 1000000, /* how often free space is asked for */
};

struct segments;

struct segments_setup {
	int segments_dirfd, large_dirfd;
	uint32_t segment_size;
	uint64_t spool_size; /* limit of all files, 0 none */
	uint64_t spool_free; /* to be left free on the file system */
	struct ledger *ledger;
	struct helper *helper;
};

/* Looks at what files are there (blocks). */
struct segments *segments_open(const struct segments_setup *setup, struct error *error);
void segments_close(struct segments **s);

/* True: no new lease or file for a writer now: too little space, or the ledger is not safe. */
bool segments_pressure(const struct segments *s);
uint64_t segments_octets(const struct segments *s); /* of all segment files */

/* Lends a segment: done(arg, lease, fd) when it may be used; the caller closes fd after passing
 * it, which is what makes its lock the writer's alone. lease NULL and fd -1: not now (pressure, or
 * a failure that is logged). *incarnation 0 becomes a fresh one; NULL for an own lease. */
typedef void segments_leased(void *arg, const struct writer_lease *lease, int fd);
void segments_lease(struct segments *s, uint32_t writer, bool own, uint32_t *incarnation,
		    segments_leased *done, void *arg);
/* Forgets the request; a segment that was already under way to it is sealed empty. */
void segments_lease_cancel(struct segments *s, void *arg);

struct segments_arrival {
	void (*arrived)(void *arg, struct entry *e);
	/* Is a notification about that parent awaited, which tells just this of it? */
	bool (*welcome)(void *arg, uint64_t parent, uint32_t mark);
	void *arg;
};

/* What a writer says of its lease. False: it lies or is broken: close its channel, then call
 * recover_writer(). Entries become messages, with their state loaded, and arrived() is called for
 * each; but a notification that is not welcome is refused. What is written in welcome() and
 * arrived() lies in one ledger frame with the notification's STATE line. */
bool segments_notice(struct segments *s, uint32_t writer, uint64_t lease,
		     const struct writer_entry *entries, size_t count, uint64_t now,
		     const struct segments_arrival *calls);
/* The STATE line of a record as it comes: nothing of it was tried yet. */
struct line segments_arrival_line(const struct line_segment *seg, const struct writer_entry *w,
				  uint64_t now);
/* A record that is known from now on, but no message: its STATE line, and its end. */
void segments_refuse(struct segments *s, const struct line *state, uint64_t parent);
void segments_refused(uint64_t id, uint64_t parent); /* logs it */
/* Is an end that the index tells just now that of a refused one? It was never there for others. */
bool segments_refusing(const struct segments *s);
/* retire: its disk has failed; the file is not lent again. */
bool segments_sealed(struct segments *s, uint32_t writer, uint64_t lease, uint32_t records,
		     uint64_t end, bool retire);
/* The same for the manager's own segments and after a scan. */
void segments_seal(struct segments *s, struct segment_entry *e, uint32_t records, uint64_t end,
		   bool retire);

/* While pinned, a segment is not freed. */
void segments_pin(struct segments *s, uint32_t segment);
void segments_unpin(struct segments *s, uint32_t segment);

/* Reads the message's record into buffer (emptied first) and checks its CRC, id and digest (from
 * e->state when that is loaded). 1: it is there. 0: done(arg, err) will be called, err 0 or errno;
 * EBADMSG: not the record that was committed, ENOENT and so on. -1 and errno: EAGAIN too many at
 * once, else as err. */
int segments_read(struct segments *s, const struct entry *e, struct buffer *buffer,
		  void (*done)(void *arg, int err), void *arg);

/* A large file for a writer: number 0 and fd -1 when there is none now. */
void segments_file(struct segments *s, uint32_t writer,
		   void (*done)(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE],
				int fd),
		   void *arg);
void segments_file_cancel(struct segments *s, void *arg);
/* A file that no message uses; one that the writer was not lent is false. */
bool segments_file_abandoned(struct segments *s, uint32_t writer, uint64_t number);
/* The writer is gone: its files that no message uses are unlinked when it can't write any more and
 * its segments are scanned. */
void segments_files_lost(struct segments *s, uint32_t writer);
/* Opens a message's large file for reading, by the helper: done(arg, fd, err); the caller owns fd.
 */
void segments_file_open(struct segments *s, uint64_t number,
			void (*done)(void *arg, int fd, int err), void *arg);
/* Reads octets of one at an offset, as many as out's limit and the file allow: done(arg, err). */
void segments_file_read(struct segments *s, uint64_t number, uint64_t offset, struct buffer *out,
			void (*done)(void *arg, int err), void *arg);

#endif
