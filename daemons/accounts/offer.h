/*
 * offer: which mechanisms may be offered: what the configuration says, or else what the passwords
 * allow.
 */
#ifndef DAEMONS_ACCOUNTS_OFFER_H
#define DAEMONS_ACCOUNTS_OFFER_H

#include "common/config/settings.h"

void offer_begin(void);
void offer_setting(const struct settings_auth *auth);
void offer_end(void);
/* The tables may be others now: says so to who must know. */
void offer_look(void);

#endif
