/*
 * lookup: one question to the user database, in a child that has nothing but a socket. It runs as
 * root without capabilities, since some databases tell root alone.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_LOOKUP_H
#define DAEMONS_ACCOUNTS_SYSTEM_LOOKUP_H

#include "common/base/slice.h"

enum {
	LOOKUP_ANSWER_MAX = 8192, /* octets of an encoded struct accounts_answer */
	/* Its daemon ends it before. It is for a child whose daemon has gone. */
	LOOKUP_LIFE_SECONDS = 60,
};

/* Sends one encoded struct accounts_answer, its request 0, to fd. */
void lookup_child(struct slice name, int fd);

#endif
