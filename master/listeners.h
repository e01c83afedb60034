/*
 * listeners: the sockets for the network. They belong to the master for its whole life, so that a
 * daemon's end or a reload refuses nobody.
 */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "common/base/error.h"
#include "master/settings.h"

enum { LISTENERS_MAX = 64 };

/* Opens them all. code 1: an address is taken or can't be had; the text names it. */
bool listeners_open(const struct settings *s, struct error *e);
typedef void listeners_call(void *arg, const char *address, const char *kind, int fd);
void listeners_each(listeners_call *call, void *arg);

#endif
