/*
 * dovecot: asks Dovecot's authentication server whether a password holds, over the socket that the
 * configuration names. The master connects; what can't be connected is tried again, later each
 * time.
 */
#ifndef DAEMONS_ACCOUNTS_DOVECOT_H
#define DAEMONS_ACCOUNTS_DOVECOT_H

#include "common/service/service.h"
#include "daemons/accounts/login.h"

enum {
	DOVECOT_QUESTIONS_MAX = 1024, /* not answered yet, of one server */
	DOVECOT_ANSWER_US = 30 * 1000 * 1000,
	DOVECOT_GREETING_US = 10 * 1000 * 1000, /* from the want to the greeting's end */
	DOVECOT_RETRY_US = 100 * 1000,		/* after a failure; twice as long each time, to */
	DOVECOT_RETRY_MOST_US = 5 * 1000 * 1000,
	/* Without a question; a Dovecot that is stopped or told to reload waits for its clients. */
	DOVECOT_IDLE_US = 1000 * 1000,
	DOVECOT_OUT_MAX = 1024 * 1024, /* octets not taken yet */
};

/* A new set of servers, as of the shelf's tables. */
void dovecot_begin(void);
void dovecot_name(struct slice name); /* unix:PATH */
void dovecot_end(void);
/* A socket, or none, from the master; false: it is nothing of this. */
bool dovecot_descriptor(const struct service_descriptor *d);

/* Dovecot does not say whether it knows a user whom it refuses; the next source is asked. */
void login_ask_dovecot(struct login *l, const struct source *s);

#endif
