/*
 * record: one message as it lies in a segment (queue/README.md, section 3), to octets and back.
 */
#ifndef QUEUE_STORE_RECORD_H
#define QUEUE_STORE_RECORD_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

enum {
	RECORD_HEADER_SIZE = 32,
	CONTENT_INLINE_MAX = 64 * 1024, /* body + header octets in a record; above: a large file */
	HEADER_BLOCK_MAX = 256 * 1024,	/* octets of a message's header block */
	RECORD_LENGTH_MAX = 12 * 1024 * 1024, /* with all recipients */
	RECORD_RECIPIENTS_MAX =
	    8 * 1024 * 1024, /* octets of these, as record_recipient_size() says */
	DIGEST_SIZE = 32,    /* SHA-256 */
	NONCE_SIZE = 16,
	STORED_ENVID_MAX = 100, /* RFC 3461 4.4 */
	STORED_ORCPT_MAX = 500, /* RFC 3461 4.2 */
	STORED_USER_MAX = 320,
	STORED_HOLD_MAX = 200,
	STORED_NOTIFY_MAX = 15, /* all flags */
};

/* A recipient as received. What was not said stays unsaid when the message is relayed (S22). */
struct stored_recipient {
	struct slice address;
	uint32_t notify;    /* dialogue/job.h, enum notify_flag; 0: was not said */
	struct slice orcpt; /* type and address, xtext, as it came; empty: was not said */
};

/* Where a large message's content lies. */
struct stored_file {
	uint64_t number; /* 0: content is inline */
	uint8_t nonce[NONCE_SIZE];
	uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the file from octet 4096 to its end */
	uint64_t length;	     /* of the file, with its first 4096 octets */
	uint64_t body_offset, body_length, header_offset, header_length;
};

/* All slices point into the record or belong to the caller. Content as sent on: trace, header,
 * body (the blank line between header and body is the body's first line, when there is one). */
struct stored_message {
	uint64_t id;
	uint32_t ordinal;
	uint64_t arrived;	   /* wall clock, microseconds since 1970 */
	uint32_t content_flags;	   /* mail/content.h */
	uint64_t content_size;	   /* octets of header and body as received */
	struct slice reverse_path; /* without < >; empty: null sender */
	struct slice client;	   /* who sent it, for the log and fairness: "203.0.113.7" */
	struct slice user;  /* who submitted it: a login, or "uid=1000"; empty: nobody known */
	uint32_t flags;	    /* dialogue/job.h, enum job_flag */
	struct slice envid; /* ENVID, xtext, as it came; empty: was not said */
	/* Of a notification: the message that it reports on, what it tells of it
	 * (spool_told_mark()), and its kind (dialogue/bounce.h). parent 0: it is none. */
	uint64_t parent;
	uint32_t parent_mark, parent_kind;
	/* Why it waits for an administrator from its arrival on, at most STORED_HOLD_MAX are kept;
	 * empty: it does not. */
	struct slice hold;
	struct slice trace;	   /* Received and what else we add, whole lines with CRLF */
	struct slice header, body; /* empty when in a file */
	struct stored_file file;
	struct stored_recipient *recipients;
	uint32_t recipient_count;
};

/* What a recipient takes in a record: who accepts them stops before RECORD_RECIPIENTS_MAX, for the
 * rest of an envelope and a content fit beside that. */
size_t record_recipient_size(size_t address, bool notify, size_t orcpt);
/* Appends the record; ordinal, mark and CRC are set by record_seal() when the batch is made. False
 * when out is full, the record would be over RECORD_LENGTH_MAX, or its content over
 * CONTENT_INLINE_MAX.
 */
bool record_encode(const struct stored_message *m, struct buffer *out);
void record_seal(void *record, uint32_t ordinal, uint32_t mark);
/* What binds a record to its lease: without it the former lease's records could stand in for those
 * of a torn batch. */
uint32_t record_mark(uint64_t lease, const uint8_t nonce[NONCE_SIZE]);
/* Does a whole record with a right CRC and a possible id begin here? Its length and numbers, read
 * with care. */
bool record_look(struct slice octets, uint32_t *length, uint32_t *ordinal, uint64_t *id);
/* The same but for the CRC: for who knows the record's SHA-256. */
bool record_head(struct slice octets, uint32_t *length, uint32_t *ordinal, uint64_t *id);
/* Decodes just one record; recipients come from the arena. EBADMSG: not as the format says;
 * ENOTSUP: a version, or a critical part, that this program does not know; ENOMEM: the arena's
 * limit. */
bool record_decode(struct slice record, struct arena *arena, struct stored_message *m,
		   struct error *error);
/* The same of a record whose SHA-256 or CRC was found right: not checked again. */
bool record_decode_checked(struct slice record, struct arena *arena, struct stored_message *m,
			   struct error *error);
/* SHA-256 of the record from the id on, the mark not counted: what the ledger keeps. It stays the
 * same when the record moves. */
void record_digest(struct slice record, uint8_t digest[DIGEST_SIZE]);
/* Loads what record_digest() and content_read() need; call it before the sandbox. */
void record_warm(void);

#endif
