/*
 * machine: the users of the machine itself. Questions go on to accounts-system, which alone may ask
 * the system; the one that is started again is asked again.
 */
#ifndef DAEMONS_ACCOUNTS_MACHINE_H
#define DAEMONS_ACCOUNTS_MACHINE_H

#include "common/service/service.h"
#include "daemons/accounts/shelf.h"

#define MACHINE_USERS SLICE("system") /* what a users option or a question says */

/* Does the configuration name them? Between begin and end of a new set, as the shelf's tables. */
void machine_begin(void);
void machine_name(void);
void machine_end(void);

/* user is the folded local part. Answers once, before it returns or later. */
void machine_ask(struct slice user, shelf_done *done, void *arg);

/* Does PAM, asked as this service, accept the password of a user of the machine? known, with the
 * numbers; missing: it does not. Asked once; an accounts-system that is gone is trouble. */
void machine_password(struct accounts_password *m, shelf_done *done, void *arg);

extern const struct route machine_routes[];
void machine_up(struct channel *c, unsigned instance);
void machine_down(struct channel *c);

#endif
