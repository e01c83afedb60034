/*
 * errand: what local-system gives to a user's child: a job, and where it goes. A packet of the
 * child's socket is a bundle of encoded errands, or one with the descriptor of a large file; the
 * answers are bundles of encoded struct job_outcome, in the same order. Both are the same program,
 * so there is no hello.
 */
#ifndef DAEMONS_LOCAL_ERRAND_H
#define DAEMONS_LOCAL_ERRAND_H

#include "common/base/buffer.h"
#include "common/dialogue/accounts.h"
#include "common/dialogue/job.h"
#include "daemons/local/maildir.h"
#include "common/mail/mailbox_path.h"

enum {
	ERRAND_BASE_MAX = 4095,
	ERRAND_MAX = 192 * 1024,       /* octets of one, encoded */
	ERRAND_OUTCOME_MAX = 2 * 1024, /* octets of an encoded outcome */
	BUNDLE_COUNT_MAX = 64,	       /* errands in one */
	BUNDLE_PART_EXTRA = 4,	       /* the length before each part */
	BUNDLE_MAX = ERRAND_MAX + BUNDLE_PART_EXTRA,
	BUNDLE_OUTCOMES_MAX = BUNDLE_COUNT_MAX * (ERRAND_OUTCOME_MAX + BUNDLE_PART_EXTRA),
};

/* False: it does not fit. */
bool bundle_add(struct buffer *b, struct slice part);
/* Takes the next part off the rest; false: there is none, or no whole one. */
bool bundle_next(struct slice *rest, struct slice *part);

#define ERRAND_FIELDS(F, S)                                                        \
	F(S, bool, mbox, 0, "a file in mbox format; else a Maildir")               \
	F(S, string, base, ERRAND_BASE_MAX, "absolute directory; empty: the home") \
	F(S, string, path, MAILBOX_PATH_SIZE - 1, "of the mailbox, below it")      \
	F(S, string, host, MAILDIR_HOST_MAX, "our name in names of files")         \
	JOB_START_FIELDS(F, S)
RECORD_DECLARE(errand, ERRAND_FIELDS)

/* Who the child is: the request to the fork server. */
#define PERSON_FIELDS(F, S)                                                     \
	F(S, u32, uid, 0, "never 0")                                            \
	F(S, u32, gid, 0, "never 0")                                            \
	F(S, string, home, 4096, "of the database")                             \
	F(S, bytes, groups, ACCOUNTS_GROUPS_MAX * 4, "u32 each, little-endian") \
	F(S, bool, spool, 0, "may take the group of mail spools, for a lock file")
RECORD_DECLARE(person, PERSON_FIELDS)

#endif
