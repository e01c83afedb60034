/*
 * asks: what an administrator asks of the master, by control.
 */
#ifndef MASTER_ASKS_H
#define MASTER_ASKS_H

#include "master/process.h"

enum { ASKS_WAITING_MAX = 16 }; /* reloads that wait for their end */

void asks_take(struct process *p, const struct master_ask *m);
void asks_go_on(void);			   /* a daemon is ready: perhaps all are */
void asks_forget(const struct process *p); /* it has ended, and nobody waits any more */

#endif
