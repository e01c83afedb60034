/*
 * links: the channels between daemons.
 */
#ifndef MASTER_LINKS_H
#define MASTER_LINKS_H

#include "master/process.h"

/* Fresh channels from a process that was started to all its peers that run. */
void links_make(struct process *p);
/* A process says that a channel to a peer has closed; nothing follows when the two have a newer
 * one. A peer that broke the rules is killed; when both still run a little later, they get a new
 * channel.
 */
void links_lost(struct process *p, const struct master_lost *m);

#endif
