/*
 * sessions: whose login holds by which entry of which table. When a table or the configuration
 * changes, each is looked up again; who is not there any more, or has another password, is revoked,
 * and so is who has to make room for others.
 */
#ifndef DAEMONS_ACCOUNTS_SESSIONS_H
#define DAEMONS_ACCOUNTS_SESSIONS_H

#include "common/base/slice.h"
#include "daemons/accounts/ours.h"

enum {
	SESSIONS_MAX = 65536,	 /* users */
	SESSIONS_DIGEST = 32,	 /* SHA-256 of an entry */
	SESSIONS_PORTION = 1000, /* looked up again in a turn of the loop */
};

/* This user logs in, by this entry of this table, and is about to be told so. False: it is another
 * one meanwhile. */
bool sessions_note(const struct login_name *name, struct slice spec,
		   const uint8_t entry[SESSIONS_DIGEST]);
/* Something has changed: looks through all of them. */
void sessions_look(void);
void sessions_digest(struct slice entry, uint8_t digest[SESSIONS_DIGEST]);

#endif
