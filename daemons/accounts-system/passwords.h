/*
 * passwords: questions whether PAM accepts a password, each asked once: nothing is kept. Those for
 * which there is no child wait in turn.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_PASSWORDS_H
#define DAEMONS_ACCOUNTS_SYSTEM_PASSWORDS_H

#include "common/service/service.h"

enum { PASSWORDS_WAITING_MAX = 256 }; /* above it: trouble */

void passwords_ask(struct channel *c, const void *record);
void passwords_up(struct channel *c);
void passwords_down(struct channel *c);
/* A child has ended: there may be room. */
void passwords_room(void);

#endif
