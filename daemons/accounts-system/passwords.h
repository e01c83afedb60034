/*
 * passwords: questions whether PAM accepts a password, each asked once: nothing is kept. Those for
 * which there is no child wait in turns (base/turns).
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_PASSWORDS_H
#define DAEMONS_ACCOUNTS_SYSTEM_PASSWORDS_H

#include "common/service/service.h"

enum {
	PASSWORDS_WAITING_MAX = 256,   /* above it: trouble */
	PASSWORDS_STRANGERS_MAX = 192, /* of clients that have not been right before */
	PASSWORDS_CLIENT_MAX = 16,     /* of one */
};

void passwords_ask(struct channel *c, const void *record);
void passwords_up(struct channel *c);
void passwords_down(struct channel *c);
/* A child has ended: there may be room. */
void passwords_room(void);

#endif
