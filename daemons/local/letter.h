/*
 * letter: a message as it lies in a Maildir: our fields, then the content with LF for CRLF.
 */
#ifndef DAEMONS_LOCAL_LETTER_H
#define DAEMONS_LOCAL_LETTER_H

#include "queue/store/content.h"

enum {
	LETTER_CHUNK = 192 * 1024,	/* a letter up to this comes in one piece */
	LETTER_HOPS_MAX = 100,		/* Received fields (RFC 5321 6.3) */
	LETTER_FIELDS_LOOKED_AT = 1000, /* for Delivered-To */
};

struct letter {
	struct slice sender;   /* reverse-path, empty: null */
	struct slice address;  /* final address */
	struct slice original; /* recipient as received */
	struct content content;
};

enum letter_fault {
	LETTER_FINE,
	LETTER_LOOP,	/* it was delivered to this address before */
	LETTER_HOPS,	/* too many Received fields */
	LETTER_SPOILED, /* not what was committed: nothing that was put may be used */
	LETTER_TROUBLE, /* errno, of put() or of reading */
};

/* Memory to write letters with, one after the other; a thread has its own. */
struct letter_room;
struct letter_room *letter_room_new(void);
void letter_room_free(struct letter_room **room);

/* Takes the next octets of the letter; false ends it, with errno set. */
typedef bool letter_put(void *arg, struct slice octets);

/* Puts the whole letter, or says why not: then what was put is of no use. */
enum letter_fault letter_write(const struct letter *l, struct letter_room *room, letter_put *put,
			       void *arg);

#endif
