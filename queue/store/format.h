/*
 * format: how segments and large files lie on the disk (queue/README.md, section 3), as numbers.
 * Private to the store.
 */
#ifndef QUEUE_STORE_FORMAT_H
#define QUEUE_STORE_FORMAT_H

#include "queue/store/digest.h"

/* As they read in a hex dump: 'S' is the first octet. */
#define BATCH_MAGIC  UINT32_C(0x31425053) /* SPB1 */
#define RECORD_MAGIC UINT32_C(0x31525053) /* SPR1 */
#define LARGE_MAGIC  UINT32_C(0x31465053) /* SPF1 */

enum {
	BATCH_ALIGN = 4096, /* a batch begins on a multiple of it */
	BATCH_HEADER_SIZE = 64,
	BATCH_VERSION = 1,
	RECORD_VERSION = 1,
	RECORD_ALIGN = 8, /* of records and of parts */
	RECORD_CRC_FROM = 12,
	RECORD_DIGEST_FROM = 16,
	RECORD_MARK_AT = 28,
	PART_HEADER_SIZE = 8,
	PARTS_MANY = UINT16_MAX, /* as a record's number of parts: as many as it has octets for */
	PART_CRITICAL = 1,	 /* flag: who does not know the part must not act on the record */
	LARGE_HEAD_SIZE = 4096,
	LARGE_VERSION_PLAIN = 1, /* read as ever: its digest is the SHA-256 of body and header */
	LARGE_VERSION = 2,	 /* its digest is a twin's */
};

enum record_part {
	PART_ENVELOPE = 1, /* u64 arrived, u32 content flags, u64 content size, u32 recipients */
	PART_REVERSE_PATH,
	PART_RECIPIENT,
	PART_CLIENT,
	PART_TRACE,
	PART_BODY,
	PART_HEADER,
	PART_FILE, /* u64 number, nonce, u64 length, digest, then u64 body offset and length, header
		    offset and length */
	/* From here on: only where there is something to say; none but HOLD is critical. */
	PART_FLAGS, /* u32 */
	PART_ENVID,
	PART_USER,
	PART_NOTIFY, /* u32 recipient, u32 flags */
	PART_ORCPT,  /* u32 recipient, octets */
	PART_PARENT, /* u64 parent, u32 mark, u32 kind */
	PART_HOLD,   /* why: it is not tried before it is released */
	PART_KNOWN_END
};

enum {
	PART_ENVELOPE_SIZE = 24,
	PART_FILE_SIZE = 96,
	PART_FLAGS_SIZE = 4,
	PART_NOTIFY_SIZE = 8,
	PART_ORCPT_SIZE = 4, /* before the octets */
	PART_PARENT_SIZE = 16
};

static inline size_t record_align(size_t len)
{
	return (len + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

static inline uint64_t batch_align(uint64_t len)
{
	return (len + BATCH_ALIGN - 1) & ~(uint64_t)(BATCH_ALIGN - 1);
}

struct batch_head {
	uint64_t lease;
	uint8_t nonce[NONCE_SIZE];
	uint64_t sequence; /* in the lease */
	uint64_t offset;   /* its own, in the segment */
	uint32_t octets;   /* of records behind it */
	uint32_t records;
	uint32_t ordinal; /* of the first record */
};

void batch_head_encode(const struct batch_head *h, uint8_t out[BATCH_HEADER_SIZE]);
/* Magic, version and CRC are right. */
bool batch_head_decode(const void *octets, struct batch_head *h);

/* Fills all of a large file's first octets. */
void large_head_encode(uint64_t number, const uint8_t nonce[NONCE_SIZE],
		       uint8_t out[LARGE_HEAD_SIZE]);
/* The version of the head of just that file; 0: it is another's, or none. */
unsigned large_head_version(const uint8_t octets[LARGE_HEAD_SIZE], uint64_t number,
			    const uint8_t nonce[NONCE_SIZE]);

/* What the manager is told of a record that record_look() found right, as its parts say. Zeros
 * where they are not as they should be: record_decode() says so to who reads it. */
struct record_numbers {
	uint64_t file;	     /* its large file, 0 none */
	uint32_t recipients; /* as the envelope has it */
	uint32_t origin;     /* CRC-32C of the user, or else of the client */
	uint64_t parent;     /* of a notification, else 0 */
	uint32_t parent_mark;
	bool held; /* from its arrival on */
};

void record_read_numbers(struct slice record, struct record_numbers *n);
/* What it says of its large file; false: it has none, or can't be read. */
bool record_read_file(struct slice record, struct stored_file *f);
/* record_digest() with a hash that is there already. */
void record_digest_with(struct digest *d, struct slice record, uint8_t digest[DIGEST_SIZE]);
/* Puts what is known only at the end into a record encoded with m->file.number != 0. */
void record_set_file(void *record, const struct stored_file *file);

#endif
