/*
 * mailbox: open mailboxes, made when they are missing. Each is opened once for all who deliver into
 * it; the last used ones stay open for a while. May be used from several threads.
 */
#ifndef DAEMONS_LOCAL_MAILBOX_H
#define DAEMONS_LOCAL_MAILBOX_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdint.h>

#include "daemons/local/outcome.h"

enum {
	MAILBOXES_MAX = 1024, /* kept open; more only while all of them are in use */
	/* A mailbox that was moved away is found out after so long (microseconds). */
	MAILBOX_FRESH_US = 2 * 1000 * 1000,
};

/* A file system; it stays as long as the table. */
struct mailbox_disk {
	uint64_t device; /* st_dev */
	bool sync_tells; /* disk_sync_all_tells() */
	bool unnamed;	 /* disk_unnamed_works() */
};

struct mailbox {
	int tmp, new;			 /* directories */
	const struct mailbox_disk *disk; /* where they are */

	/* mailbox.c's */
	TAILQ_ENTRY(mailbox) link;
	char *key; /* descriptor of the base, path */
	size_t key_len;
	unsigned users; /* who hold it */
	bool listed;	/* what its path stands for */
	bool opened;
	uint64_t since; /* opened; clock_boot_us() */
	pthread_mutex_t opening;
	uint64_t inode; /* of its directory; opening guards it */
	uint64_t known; /* the directory that was synced here, perhaps by the one before; 0: none */
};

struct mailboxes;
struct mailboxes *mailboxes_new(void);
void mailboxes_free(struct mailboxes **all); /* nobody holds one */

/* The mailbox at that path below base, which the caller holds then; NULL: o says why. */
struct mailbox *mailboxes_get(struct mailboxes *all, int base, const char *path, struct outcome *o);
void mailboxes_put(struct mailboxes *all, struct mailbox *box);
/* Its directories are not what its path stands for any more: the next get opens it anew. */
void mailboxes_forget(struct mailboxes *all, struct mailbox *box);

#endif
