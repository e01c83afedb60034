/*
 * children: a process for each look-up, since the libraries behind the user database (NSS) may do
 * anything: open files and sockets, wait for a server that is gone, crash.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_CHILDREN_H
#define DAEMONS_ACCOUNTS_SYSTEM_CHILDREN_H

#include "common/service/service.h"

enum {
	CHILDREN_MOST = 16,		     /* at once */
	CHILDREN_TIME_US = 10 * 1000 * 1000, /* that a look-up may take */
};

void children_warm(void);
void children_start(void);

/* answer: an encoded struct accounts_answer, valid during the call; empty: trouble, and text says
 * what. */
typedef void children_done(void *arg, struct slice answer, const char *text);
/* Looks the name up; false: CHILDREN_MOST are at work, ask again when one has answered. done()
 * comes later, once. */
bool children_ask(const char *name, children_done *done, void *arg);

#endif
