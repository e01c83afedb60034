/*
 * mailbox: where the mail of somebody who has logged in to fetch it lies. The daemon maildrop hears
 * it under a ticket; whoever asked for the login hears the ticket.
 */
#ifndef DAEMONS_ACCOUNTS_MAILBOX_H
#define DAEMONS_ACCOUNTS_MAILBOX_H

#include "common/dialogue/maildrop.h"
#include "common/service/service.h"
#include "daemons/accounts/ours.h"

enum mailbox_result {
	MAILBOX_GRANTED,
	MAILBOX_NONE, /* the user has none here */
	MAILBOX_TROUBLE,
};
typedef void mailbox_done(void *arg, enum mailbox_result result, const uint8_t *ticket,
			  const char *text);
/* Looks through the deliver statements of the user's domain in order; the first that knows him
 * says. ticket: MAILDROP_TICKET_SIZE octets, when granted; text: else why. Answers once, before it
 * returns or later. */
void mailbox_grant(const struct login_name *name, mailbox_done *done, void *arg);

extern const struct route mailbox_routes[]; /* of the link to maildrop, which says nothing */
void mailbox_up(struct channel *c, unsigned instance);
void mailbox_down(struct channel *c);

#endif
