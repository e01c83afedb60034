/*
 * answer: the questions of router and local-system, and their answers.
 */
#ifndef DAEMONS_ACCOUNTS_ANSWER_H
#define DAEMONS_ACCOUNTS_ANSWER_H

#include "common/service/service.h"

enum { ANSWERS_PENDING_MAX = 65536 }; /* questions not answered yet; above it: trouble */

extern const struct route answer_routes[];
void answer_router_up(struct channel *c, unsigned instance);
void answer_local_system_up(struct channel *c, unsigned instance);
void answer_down(struct channel *c);

#endif
