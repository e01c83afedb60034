/*
 * drop: the file that `sendmail` leaves in the drop directory when the server does not take a
 * message now, and that pickup hands over later. What is in it is ready to be sent: addresses are
 * whole, the header is complete, lines end with CRLF.
 *
 *	"stagepost drop 1"	16 octets, the version's number at its end
 *	u32 octets of the envelope, u32 zero, u64 octets of the content
 *	envelope: fields {u8 letter, u16 octets, octets}
 *		s sender (empty: null), r a recipient (one or more), n NOTIFY, e RET, v ENVID,
 *		8 BODY=8BITMIME, u SMTPUTF8 (both without octets); each but r once at most
 *	content
 *	u32 CRC-32C of all before it, "end\n"
 *
 * The end tells a whole file from a torn one. A field that is not known makes the file foreign: it
 * was written by another version, and is kept for that.
 *
 * A file's name says whose it is, when it was made, and whether it is whole:
 * UID.MICROSECONDS.RANDOM, the last two as 16 hexadecimal digits; with ".part" behind it while it
 * is written. Whom it belongs to in truth is the file's owner.
 */
#ifndef COMMON_MAIL_DROP_H
#define COMMON_MAIL_DROP_H

#include "common/base/buffer.h"

enum {
	DROP_FRONT = 32, /* octets before the envelope */
	DROP_END = 8,	 /* behind the content */
	DROP_ENVELOPE_MAX = 2 * 1024 * 1024,
	DROP_RECIPIENTS_MAX = 100000,
	DROP_NAME_SIZE = 64, /* of a name, with its NUL */
};

/* What one user may have waiting; over it sendmail takes no more for now. */
enum { DROP_FILES_MAX = 4096 };
#define DROP_OCTETS_MAX (UINT64_C(1) << 30)

struct drop {
	struct slice sender;
	struct slice notify, ret, envid; /* as in MAIL and RCPT (RFC 3461); empty: not said */
	bool eight_bit, utf8;
	uint64_t content_octets;
	uint32_t recipient_count;
	struct slice fields; /* the envelope as it lies in the file */
};

/* Writing: begin, then each recipient, then the front of the file, which says how long the others
 * are. False: the envelope is too large, or is no envelope. */
bool drop_begin(const struct drop *d, struct buffer *envelope);
bool drop_add(struct buffer *envelope, struct slice recipient);
void drop_front(struct slice envelope, uint64_t content_octets, char front[DROP_FRONT]);
void drop_end(uint32_t crc, char end[DROP_END]);

/* Reading. The front: false when this is none of our files, or its lengths are not those of a file
 * of so many octets: it is torn. */
bool drop_read_front(const char front[DROP_FRONT], uint64_t file_octets, uint32_t *envelope_octets,
		     uint64_t *content_octets);
/* The envelope, of which *d gets slices; content_octets is the caller's to fill in. False: a field
 * is not known or can't be said in SMTP. */
bool drop_read(struct slice envelope, struct drop *d);
/* One recipient after the other; *at starts at 0. */
bool drop_next(const struct drop *d, size_t *at, struct slice *recipient);
/* Is that the end of a file whose octets before it have this checksum? */
bool drop_read_end(const char end[DROP_END], uint32_t crc);

struct drop_name {
	uint32_t uid;
	uint64_t made; /* microseconds since 1970 */
	bool part;     /* is not whole yet */
};
void drop_name_write(const struct drop_name *n, uint64_t random, char text[DROP_NAME_SIZE]);
bool drop_name_read(struct slice text, struct drop_name *n);

#endif
