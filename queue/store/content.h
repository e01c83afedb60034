/*
 * content: the face of the store for those who read messages (local, smtp, bounce): the
 * content of one message, from memory or from its large file, in the order in which it is sent:
 * trace, header, body. Reading a file hashes in the same pass.
 */
#ifndef QUEUE_STORE_CONTENT_H
#define QUEUE_STORE_CONTENT_H

#include "queue/store/record.h"

enum { CONTENT_CHUNK = 128 * 1024 };

struct content {
	struct slice trace, header, body; /* header and body empty when in a file */
	struct stored_file file;	  /* number 0: in memory */
	int fd;				  /* of the file, read only; not owned */
};

/* Gives the content in pieces of at most CONTENT_CHUNK octets; take() returning false ends it with
 * the errno it set. After the last piece the digest is checked: 0, or -1 and EBADMSG when the
 * file is not what was committed (nothing that was taken may be used then), EIO and so on. A file's
 * header is sent before its body although it lies after it: the digest covers both in file order.
 */
int content_read(const struct content *c, bool (*take)(void *arg, struct slice piece), void *arg);
uint64_t content_size(const struct content *c); /* with trace */

/* The same a piece at a time, for who can't take all of it at once. Each call may wait for the
 * disk; calls of one reader may come from any thread, one after the other. */
struct content_reader;
struct content_reader *content_reader_new(const struct content *c); /* which outlives it */
/* 1: *piece is the next one, until the next call; 0: that was all, and it is what was committed;
 * -1 and errno as above. */
int content_reader_next(struct content_reader *r, struct slice *piece);
void content_reader_free(struct content_reader **r);

#endif
