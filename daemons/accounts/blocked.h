/*
 * blocked: users whom an administrator has blocked, as usage tells it. Before it has told of all of
 * them nobody can log in.
 */
#ifndef DAEMONS_ACCOUNTS_BLOCKED_H
#define DAEMONS_ACCOUNTS_BLOCKED_H

#include "common/dialogue/usage.h"
#include "common/service/service.h"

enum { BLOCKED_MAX = 1024 * 1024 };

extern const struct route blocked_routes[];
void blocked_up(struct channel *c, unsigned instance);
void blocked_down(struct channel *c);

bool blocked_known(void); /* has usage told of all? */
bool blocked_is(const char *user);

#endif
