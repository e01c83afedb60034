/*
 * answer: the questions of accounts. What is known is kept for a moment, so that a burst of mail
 * for one user is one look-up; who asks for the same name meanwhile waits for the same answer.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_ANSWER_H
#define DAEMONS_ACCOUNTS_SYSTEM_ANSWER_H

#include "common/service/service.h"

enum {
	ANSWER_ASKED_MAX = 65536,	    /* questions not answered yet; above it: trouble */
	ANSWER_KEPT_MAX = 4096,		    /* names */
	ANSWER_KNOWN_US = 60 * 1000 * 1000, /* a user is believed so long */
	ANSWER_MISSING_US = 10 * 1000 * 1000,
};

extern const struct route answer_routes[];
void answer_up(struct channel *c, unsigned instance);
void answer_down(struct channel *c);
/* A look-up has ended, there is room for another. */
void answer_room(void);

#endif
