/*
 * lookup: one question to the user database, in a child that has nothing but a socket. It runs as
 * root without capabilities, since some databases tell root alone.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_LOOKUP_H
#define DAEMONS_ACCOUNTS_SYSTEM_LOOKUP_H

#include "common/base/slice.h"
#include "common/dialogue/accounts.h"
#include "common/os/user.h"

enum {
	LOOKUP_ANSWER_MAX = 8192, /* octets of an encoded struct accounts_answer */
	/* Its daemon ends it before. It is for a child whose daemon has gone. */
	LOOKUP_LIFE_SECONDS = 60,
};

/* What an answer points to. */
struct lookup {
	struct user_account account;
	struct error e;
	char groups[4 * USER_GROUPS_MAX];
};
/* Who that is: known, missing or trouble. */
void lookup_find(struct slice name, struct lookup *l, struct accounts_answer *m);
void lookup_send(const struct accounts_answer *m, int fd);
/* Sends one encoded struct accounts_answer, its request 0, to fd. */
void lookup_child(struct slice name, int fd);

#endif
