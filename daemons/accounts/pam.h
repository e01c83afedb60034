/*
 * pam: users of the machine, whose passwords PAM knows; accounts-system asks it.
 */
#ifndef DAEMONS_ACCOUNTS_PAM_H
#define DAEMONS_ACCOUNTS_PAM_H

#include "daemons/accounts/login.h"

/* NAME@DOMAIN is the user NAME where the domain has `deliver system`, and at origin. */
void login_ask_pam(struct login *l, const struct source *s);

#endif
