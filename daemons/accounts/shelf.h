/*
 * shelf: the users tables that the configuration names. A file's content arrives as a descriptor; a
 * bad file leaves the old content in use.
 */
#ifndef DAEMONS_ACCOUNTS_SHELF_H
#define DAEMONS_ACCOUNTS_SHELF_H

#include "common/dialogue/accounts.h"
#include "common/table/table.h"

/* A new set of tables: those named between begin and end; the others go. */
void shelf_begin(void);
void shelf_name(struct slice spec);
void shelf_end(void);
/* New content for a table from its file; false when no such table is named. fd stays the caller's.
 */
bool shelf_load(struct slice spec, int fd);

/* The entry of user@domain, or of user alone; value is what table_user_read() reads, and lives
 * during the call. A table that is not named is an error. Answers once, before it returns or later.
 */
void shelf_entry(struct slice spec, struct slice user, struct slice domain, table_done *done,
		 void *arg);
/* Are all passwords of the table SCRAM keys, and is there one? A database is not looked through. */
bool shelf_scram_alone(struct slice spec);

/* The answer lives during the call; its request is not set. */
typedef void shelf_done(void *arg, const struct accounts_answer *answer);
/* Is user@domain in the table, or user alone, who counts in every domain that uses it? user is the
 * folded local part, not quoted. Answers once, before it returns or later. */
void shelf_ask(struct slice spec, struct slice user, struct slice domain, shelf_done *done,
	       void *arg);

#endif
