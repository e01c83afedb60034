/*
 * ledger_format: the lines of the ledger (queue/README.md, section 4) as structs, to octets and
 * back; the header of its files and the head of its frames. No input or output here.
 */
#ifndef QUEUE_STORE_LEDGER_FORMAT_H
#define QUEUE_STORE_LEDGER_FORMAT_H

#include "common/base/buffer.h"
#include "queue/store/record.h"

enum {
	LEDGER_HEADER_SIZE = 4096,
	LEDGER_FRAME_SIZE = 24, /* head of a frame */
	LEDGER_ALIGN = 8,	/* of frames and lines */
	LEDGER_LINE_HEAD = 8,
	LEDGER_LINE_MAX = 12 * 1024 * 1024,  /* one line, with its head */
	LEDGER_FRAME_MAX = 13 * 1024 * 1024, /* one frame, with its head */
	REPLY_TEXT_MAX = 400,		     /* kept of a reply's text */
	REPLY_RELAY_MAX = 100,		     /* kept of who said it */
	ADDRESS_KEPT_MAX = 1024,	     /* of an address in a STATE line */
	RECIPIENTS_RECEIVED_MAX = 100000,    /* of a message as it came */
	RECIPIENTS_ADDED_MAX = 100000,	     /* by expansion */
	RECIPIENTS_TEXTS_MAX =
	    1000, /* of larger messages no text of those that have ended is kept */
	RECIPIENTS_MAX = RECIPIENTS_RECEIVED_MAX + RECIPIENTS_ADDED_MAX,
	BOOT_ID_SIZE = 40,
	SEGMENT_NUMBER_MAX = 1 << 20, /* 16 TiB of them */
};

enum line_kind {
	LINE_RESERVED = 1,
	LINE_LEASED,
	LINE_SEALED,
	LINE_FREE,
	LINE_SEGMENT,
	LINE_STATE,
	LINE_ATTEMPT,
	LINE_RESULT,
	LINE_SUSPECT,
	LINE_DISPOSITION,
	LINE_ENDED,
	LINE_TIME,
	LINE_DAMAGE,
	LINE_SNAPSHOT_BEGIN,
	LINE_SNAPSHOT_END,
	LINE_TOLD,
	LINE_ADDED,
	LINE_KINDS /* one more than the last */
};

enum disposition {
	MESSAGE_QUEUED,	       /* tried when its time comes */
	MESSAGE_HELD,	       /* until an administrator releases or deletes it */
	MESSAGE_UNDELIVERABLE, /* given up, kept */
	MESSAGE_CORRUPT,       /* set aside: damage, or deadly to agents */
	DISPOSITIONS
};

/* As a message's deaths: the manager died of its record three times in a scan. Recipients, file and
 * digest are not known until it is released and read. */
enum { DEATHS_UNREAD = UINT8_MAX };

enum recipient_status {
	RECIPIENT_PENDING,
	RECIPIENT_ATTEMPT,   /* with an agent */
	RECIPIENT_DEFERRED,  /* to be tried again */
	RECIPIENT_FAILED,    /* for good, and nobody was told yet: still alive */
	RECIPIENT_REACHED,   /* delivered, and the sender, who asked to hear of it, was not told yet
			      */
	RECIPIENT_DELIVERED, /* from here on: ended */
	RECIPIENT_EXPANDED,  /* replaced by others */
	RECIPIENT_DELETED,   /* by an administrator */
	RECIPIENT_BOUNCED,   /* failed, and told, or not to be told */
	RECIPIENT_STATUSES
};

static inline bool recipient_ended(enum recipient_status s)
{
	return s >= RECIPIENT_DELIVERED;
}

/* What an agent said: RFC 5321 code, RFC 3463 enhanced code, text. All zero: nothing. */
struct reply {
	uint16_t code;
	uint16_t enhanced[3]; /* class, subject, detail */
	struct slice text;    /* at most REPLY_TEXT_MAX are kept */
	struct slice relay;   /* who said it; empty: we did; at most REPLY_RELAY_MAX are kept */
};

struct line_reserved {
	uint64_t numbers;      /* of leases and large files, below this may be in use */
	uint32_t incarnations; /* the same */
};

enum segment_state { SEGMENT_FREE, SEGMENT_LEASED, SEGMENT_SEALED };

/* LEASED, SEALED, FREE and SEGMENT: which fields count depends on the kind. */
struct line_segment {
	uint32_t segment;
	uint8_t state; /* enum segment_state */
	bool own;      /* leased to the manager itself */
	bool retire;   /* its file is not to be lent again */
	uint64_t lease;
	uint8_t nonce[NONCE_SIZE];
	uint32_t writer;  /* which one, for people */
	uint32_t known;	  /* records */
	uint32_t records; /* sealed: there are */
	uint64_t end;	  /* sealed: of the good part */
};

/* A recipient in a STATE line: only those that are not as at the arrival are written. */
struct line_recipient {
	uint32_t number; /* from 0; in rising order */
	uint8_t status;
	uint16_t attempts;
	uint64_t next; /* queue time */
	struct reply reply;
	struct slice address, original; /* of one that was added by expansion */
	uint32_t alike; /* so many that follow on its number are as this one; none of them added */
};

struct line_state {
	uint64_t id, lease, file;
	uint32_t segment, offset, length, ordinal;
	uint64_t arrived, next; /* queue time */
	uint8_t disposition, deaths;
	uint16_t attempts;
	uint32_t received, count; /* recipients of the record; with those added */
	uint8_t digest[DIGEST_SIZE];
	struct slice recipients; /* encoded; read by line_recipient_next() */
};

struct line_attempt {
	uint64_t id;
	uint32_t recipient;
	uint16_t attempt; /* from 1 */
};

struct line_result {
	uint64_t id;
	uint32_t recipient;
	uint8_t status;
	bool ends; /* this was the message's last */
	uint64_t next;
	struct reply reply;
};

/* A recipient is replaced by others, which stand behind all that are there. */
struct line_added {
	uint64_t id;
	uint32_t recipient;
	struct slice recipients; /* as those of a STATE line */
};

/* SUSPECT: deaths. DISPOSITION: disposition and next. ENDED: id alone. TOLD: in next the number
 * below which recipients are told; 0: all. */
struct line_message {
	uint64_t id;
	uint8_t disposition, deaths;
	uint64_t next;
};

struct line_time {
	uint64_t queue, boot, wall; /* microseconds */
	char boot_id[BOOT_ID_SIZE];
};

struct line_damage {
	uint32_t segment;
	uint64_t lease, offset, length;
};

struct line {
	enum line_kind kind;
	union {
		struct line_reserved reserved;
		struct line_segment segment;
		struct line_state state;
		struct line_attempt attempt;
		struct line_result result;
		struct line_added added;
		struct line_message message;
		struct line_time time;
		struct line_damage damage;
	};
};

/* Octets that the line takes at most, with its head and padding. */
size_t line_bound(const struct line *l);
/* Writes it to `to`, where line_bound() octets are free; returns how many were used. */
size_t line_encode(const struct line *l, char *to);
/* Takes one line off *octets; slices of l point into it. False: not as the format says. A kind that
 * is not known gives true and kind 0: to be skipped. */
bool line_decode(struct slice *octets, struct line *l);

/* Recipients of a STATE line. Encoding: appends; text and relay are cut to `text_max` together. */
bool line_recipient_add(struct buffer *out, const struct line_recipient *r, size_t text_max);
/* Takes one off *list; false at the end (*list empty) or when it is malformed (not empty). */
bool line_recipient_next(struct slice *list, struct line_recipient *r);

struct ledger_header {
	uint64_t spool;		  /* id */
	uint32_t sequence;	  /* of this file, from 1 */
	uint32_t oldest;	  /* lowest sequence still needed */
	uint32_t previous;	  /* sequence of the file before it, 0 none */
	uint32_t previous_end;	  /* where that one ends */
	uint32_t previous_synced; /* octets of that one that were durable when this was written */
	bool snapshot;		  /* begins with SNAPSHOT_BEGIN: needs no file before it */
	uint32_t size;		  /* of the file */
	uint8_t nonce[NONCE_SIZE];
};

void ledger_header_encode(const struct ledger_header *h, char to[LEDGER_HEADER_SIZE]);
bool ledger_header_decode(const char from[LEDGER_HEADER_SIZE], struct ledger_header *h);

/* A frame's head before its `length` octets of lines (which follow it in memory). synced: so much
 * of the file is durable by now. */
void ledger_frame_seal(const struct ledger_header *h, uint32_t offset, uint32_t synced, char *frame,
		       uint32_t length);
/* How far the file was durable when a good frame was written. */
uint32_t ledger_frame_synced(const char *frame);
/* Looks at the frame that begins at `offset` of a file; rest is everything from there on. False: no
 * (good) frame: here the file ends. */
bool ledger_frame_look(const struct ledger_header *h, uint32_t offset, struct slice rest,
		       struct slice *lines);

#endif
