/*
 * system: deliveries for the role local-system: to the machine's users, by a child for each user.
 */
#ifndef DAEMONS_LOCAL_SYSTEM_H
#define DAEMONS_LOCAL_SYSTEM_H

#include "common/service/service.h"

void system_warm(void);
void system_start(void);
void system_drain(void);

/* The link to accounts. */
extern const struct route system_accounts_routes[];
void system_accounts_up(struct channel *c, unsigned instance);
void system_accounts_down(struct channel *c);

/* For tests: what an errand may take, from system_start() on. */
void system_time_limit(uint64_t us);

#endif
