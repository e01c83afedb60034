/*
 * drop: one user's mailbox as a POP3 session sees it: messages that are numbered when it opens and
 * keep their numbers, whatever others do meanwhile. In a child, which is the mailbox's owner.
 */
#ifndef DAEMONS_MAILDROP_DROP_H
#define DAEMONS_MAILDROP_DROP_H

#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/dialogue/maildrop.h"

struct drop;

struct drop_kind {
	const char *name;
	/* Opens the directory that the mailbox is in, or is, below base; stays -1 when it is not
	 * there, which is an empty mailbox. Before the sandbox. */
	bool (*prepare)(struct drop *d, int base, const char *path, struct error *e);
	/* Locks it and finds its messages; d->count is set. */
	enum maildrop_standing (*open)(struct drop *d, struct error *e);
	/* Of the message at `index`, from 0. */
	uint64_t (*octets)(const struct drop *d, size_t index);
	size_t (*unique)(const struct drop *d, size_t index, char uid[MAILDROP_UIDL_MAX]);
	/* Content from an octet on; fewer than size only at its end, *last tells. -1: it can't be
	 * read, errno. */
	ssize_t (*read)(struct drop *d, size_t index, uint64_t from, char *octets, size_t size,
			bool *last);
	/* Removes those that are marked, for good: how many of them are gone when this returns. */
	size_t (*remove)(struct drop *d, const bool *marked, struct error *e);
	void (*close)(struct drop *d);
};

struct drop {
	const struct drop_kind *kind;
	int dir;	/* that the session may work in; -1: there is none */
	gid_t group;	/* effective group for changes in dir; our own: no other */
	size_t skipped; /* files that are no messages, or can't be read */
	size_t count;	/* of messages */
	void *messages; /* the kind's */
};

extern const struct drop_kind drop_maildir, drop_mbox;

enum {
	DROP_CHUNK = 64 * 1024,
	DROP_DIGEST_SIZE = 16,
	DROP_LOCK_TRIES = 20,
	DROP_LOCK_WAIT_US = 50 * 1000,
};

/* Another session has the mailbox: its client may have gone, and it be about to hear of it. Waits a
 * moment; false: that was the last of DROP_LOCK_TRIES. */
bool drop_wait(unsigned *tries);

/* A unique id out of a digest and how many before it have the same. */
size_t drop_unique(const unsigned char digest[DROP_DIGEST_SIZE], unsigned twin,
		   char uid[MAILDROP_UIDL_MAX]);

#endif
