/*
 * sockets: connections to Unix sockets that the configuration names, for daemons that can't connect
 * (GIFT_SOCKETS).
 */
#ifndef MASTER_SOCKETS_H
#define MASTER_SOCKETS_H

#include "common/config/config.h"
#include "master/process.h"

/* name: unix:PATH. It connects when the configuration names that, and tells the daemon in any case.
 */
void sockets_want(const struct config *config, struct process *p, struct slice name);

#endif
