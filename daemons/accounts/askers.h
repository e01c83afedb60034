/*
 * askers: submission, pop3d and control, what they ask about logins and what they hear.
 */
#ifndef DAEMONS_ACCOUNTS_ASKERS_H
#define DAEMONS_ACCOUNTS_ASKERS_H

#include "common/dialogue/login.h"
#include "common/service/service.h"

extern const struct route askers_routes[], askers_control_routes[];
void askers_up(struct channel *c, unsigned instance); /* submission, pop3d */
void askers_control_up(struct channel *c, unsigned instance);
void askers_down(struct channel *c);

/* To submission and pop3d: what may be offered, when it is another than before. */
void askers_offer(uint32_t mechanisms);
/* To the same: sessions of this user end. */
void askers_revoke(struct slice user);

struct login;
void askers_salt(const struct login *l);
/* The answer; the asker forgets the login. */
void askers_done(struct login *l);

#endif
