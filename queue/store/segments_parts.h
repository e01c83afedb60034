/*
 * segments_parts: what the files of the pool say to each other. Private to them and to recovery and
 * moving.
 */
#ifndef QUEUE_STORE_SEGMENTS_PARTS_H
#define QUEUE_STORE_SEGMENTS_PARTS_H

#include "common/base/map.h"
#include "common/base/queue_id.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/store/format.h"
#include "queue/store/numbers.h"
#include "queue/store/segments.h"

enum {
	INCARNATIONS_KEPT = 8, /* of one writer: ids of drafts may be older than its lease */
	LARGE_NAME_SIZE = 32,
	UNLINKS_MAX = 64, /* in one job */
	OLD_MAX = 64,	  /* large files of messages that have ended, kept to be used again ... */
	OLD_OCTETS =
	    64 * 1024 * 1024,	/* ... all together, and a sixteenth of the spool's size ... */
	OLD_FILE = 1536 * 1024, /* ... and one: a message of 1 MiB, with what it may grow by */
	LARGE_LOOK = 10,       /* every so many looks at the space, large files are summed up ... */
	LARGE_LOOK_FEW = 2000, /* ... and at each one while they are so few */
	LARGE_LOOK_MAX = 20000,
	LARGE_MAKE_MAX = 16, /* large files made with one sync of their directory */
	READ_AHEAD = 64 * 1024,
	TOGETHER_OCTETS = 1024, /* of a notification's lines and its parent's: three short ones */
};

enum pool_state {
	POOL_RAW,     /* a free file, not looked at yet */
	POOL_READY,   /* free and prepared */
	POOL_USED,    /* the ledger says for what */
	POOL_GONE,    /* is being removed */
	POOL_STRANGE, /* of a free one's name, but not to be used: left alone */
};

struct pool_file {
	uint32_t number;
	enum pool_state state;
	int write_fd, read_fd; /* -1: not open */
	unsigned pins, reading;
	bool wanted; /* to be freed as soon as nothing pins it and its end is synced */
	TAILQ_ENTRY(pool_file) link; /* of those open for reading, most recently used first */
	/* Lent in this process's life. */
	uint32_t writer;
	uint64_t seen_end; /* behind the last record noticed */
	uint64_t read_end; /* behind what was read of it */
};

TAILQ_HEAD(pool_files, pool_file);

struct lease_request {
	TAILQ_ENTRY(lease_request) link;
	struct segments *s;
	uint32_t writer;
	uint32_t *incarnation; /* of who asks; NULL for an own lease */
	bool own, cancelled;
	struct pool_file *file; /* granted, its line is not synced yet */
	struct writer_lease lease;
	struct ledger_wait wait;
	segments_leased *done;
	void *arg;
};

struct lender {
	uint32_t incarnations[INCARNATIONS_KEPT];
	unsigned count;
};

struct large {
	TAILQ_ENTRY(large) link; /* spares */
	uint64_t number;
	uint8_t nonce[NONCE_SIZE];
	int fd;
	uint32_t writer; /* lent to; 0 spare */
};

typedef void large_done(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd);

struct large_request {
	TAILQ_ENTRY(large_request) link;
	uint32_t writer;
	large_done *done;
	void *arg;
};

struct unlink_wish {
	uint64_t number, position; /* 0: now, and not kept */
	bool old;		   /* it is kept until now, by its other name */
};

struct prepare_job {
	struct helper_job job;
	struct segments *s;
	bool out;
	uint32_t number;
	bool fresh, irregular; /* irregular: something else has the file's name */
	int write_fd, read_fd, err;
};

/* A large file without a message, kept because its blocks are there. */
struct old_file {
	uint64_t number, octets;
};

struct large_job {
	struct helper_job job;
	struct segments *s;
	bool out;
	size_t count;
	struct large_made {
		struct large *file;
		uint64_t old; /* it may take that one's octets: 0 none */
		bool blind;   /* nobody can tell whether that one is open elsewhere */
		int err;
	} made[LARGE_MAKE_MAX];
};

struct unlink_job {
	struct helper_job job;
	struct segments *s;
	bool out;
	size_t count, failed;
	struct unlink_wish wishes[UNLINKS_MAX]; /* those that failed stand in front afterwards */
	/* Of those whose message has ended some need not be removed, ... */
	size_t kept_count, kept_max;
	uint64_t kept_octets; /* ... and how many octets they may be; then are */
	struct old_file kept[OLD_MAX];
	/* A segment that is not to be used again: 0 none. */
	uint32_t segment;
};

struct space_job {
	struct helper_job job;
	struct segments *s;
	bool out, large;
	struct disk_space space;
	uint64_t large_octets;
	size_t large_count;
	int err;
};

struct segments {
	struct segments_setup setup;
	struct index *ix;
	struct numbers numbers;
	struct pool_file **files; /* by number */
	uint32_t file_size;	  /* of the table */
	size_t file_count, ready_count, raw_count;
	struct idmap *leases;  /* number of a lease -> pool_file */
	struct idmap *lenders; /* writer + 1 -> lender */
	struct idmap *lent;    /* number of a large file -> large */
	struct pool_files readers;
	size_t reader_count;
	TAILQ_HEAD(lease_requests, lease_request) requests, granted;
	TAILQ_HEAD(, large_request) large_requests;
	TAILQ_HEAD(, large) large_spares;
	size_t large_spare_count;
	struct unlink_wish *wishes;
	size_t wish_count, wish_size;
	struct unlink_wish unlink_again[UNLINKS_MAX]; /* large files that could not be removed */
	size_t unlink_again_count;
	struct old_file old[OLD_MAX];
	size_t old_count, old_least; /* the fewest since old_give_back() looked last */
	uint64_t old_octets;
	bool old_never;	   /* this file system can't tell who has a file open */
	uint32_t *retired; /* segment files to be removed */
	size_t retired_count;
	bool candidates; /* a segment waits to be freed */
	struct ledger_wait free_wait, unlink_wait;
	struct loop_timer serve_timer, space_timer;
	struct prepare_job prepare;
	struct large_job large;
	struct unlink_job unlink;
	struct space_job space;
	bool space_known;
	struct disk_space free_space;
	uint64_t large_octets;
	size_t large_count; /* when they were summed up last */
	unsigned looks;
	uint64_t failed_until; /* no new file is made before (clock of the loop) */
	bool refusing;	       /* within segments_refuse() */
	struct digest hash;    /* the loop's */
	struct {
		struct pool_file *file; /* NULL: nothing */
		uint64_t offset;
		size_t len;
		char octets[READ_AHEAD];
	} ahead; /* records that follow one that was read */
	bool closing;
};

struct pool_file *pool_file(const struct segments *s, uint32_t number); /* NULL: no such file */
struct pool_file *pool_add(struct segments *s, uint32_t number, enum pool_state state);
void segment_name(uint32_t number, char name[16]);
void large_name(uint64_t number, char name[24]);
/* One whose message has ended, kept to be used again. A start removes it. */
#define LARGE_OLD_SUFFIX ".free"
void large_old_name(uint64_t number, char name[LARGE_NAME_SIZE]);
/* Serves requests in the next turn. */
void segments_serve_soon(struct segments *s);

/* segments_free.c */
/* Frees what has ended. */
void segments_consider(struct segments *s, uint32_t number);
/* The file is removed. */
void pool_retire(struct segments *s, struct pool_file *f);

/* segments_read.c */
void pool_reader_add(struct segments *s, struct pool_file *f, int fd);
/* 0, or EBADMSG: not that message's record. digest NULL: not known. */
int record_check(struct slice record, const struct entry *e, const uint8_t *digest);
/* The same with a running hash that is ready. */
int record_check_with(struct digest *hash, struct slice record, const struct entry *e,
		      const uint8_t *digest);
void pool_reader_drop(struct segments *s, struct pool_file *f);

/* segments_large.c */
void large_serve(struct segments *s);
void large_free_all(struct segments *s);
/* A message names it now. */
void large_named(struct segments *s, uint64_t number);
void space_start(struct segments *s);

/* segments_old.c */
/* Unlinks the file when `position` is synced, or keeps it to be used again: that is the end of its
 * message; 0: unlinks it, now. */
void large_unlink(struct segments *s, uint64_t number, uint64_t position);
void unlink_start(struct segments *s);
/* At each look at the space: old files that nobody will need go. */
void old_give_back(struct segments *s);
/* One to be used again, 0: there is none. */
uint64_t old_take(struct segments *s);
void old_free_all(struct segments *s);
void unlink_retry(struct segments *s); /* what could not be removed */
/* In the helper: a file that was used again gives back what its message does not need. record: that
 * message's, found right by the SHA-256 of its STATE line. */
void large_trim(const struct segments *s, uint64_t number, struct slice record);

#endif
