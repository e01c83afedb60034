/*
 * content: the face of the store for those who read messages (local, later smtp and bounce): the
 * content of one message, from memory or from its large file, in the order in which it is sent:
 * trace, header, body. Reading a file hashes in the same pass.
 */
#ifndef QUEUE_STORE_CONTENT_H
#define QUEUE_STORE_CONTENT_H

#include "queue/store/record.h"

enum { CONTENT_CHUNK = 64 * 1024 };

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

#endif
