/*
 * children: a process for each look-up and each password, since the libraries behind the user
 * database (NSS) and behind PAM may do anything: open files and sockets, wait for a server that is
 * gone, crash.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_CHILDREN_H
#define DAEMONS_ACCOUNTS_SYSTEM_CHILDREN_H

#include "common/service/service.h"

enum {
	CHILDREN_MOST = 16,		     /* at once */
	CHILDREN_PASSWORDS = 4,		     /* of them for passwords, at most */
	CHILDREN_TIME_US = 10 * 1000 * 1000, /* that a look-up may take */
	CHILDREN_PASSWORD_US = 20 * 1000 * 1000,
};

enum children_work {
	CHILDREN_LOOKUP = 'u',	 /* request: a name (lookup.h) */
	CHILDREN_PASSWORD = 'p', /* request: an encoded struct accounts_password (password.h) */
};

void children_warm(void);
void children_start(void);

/* answer: an encoded struct accounts_answer, valid during the call; empty: trouble, and text says
 * what. */
typedef void children_done(void *arg, struct slice answer, const char *text);
/* Begins the work; false: there is no child for it now, ask again when one has answered. done()
 * comes later, once. No copy of the request stays here. */
bool children_ask(enum children_work work, struct slice request, children_done *done, void *arg);

#endif
