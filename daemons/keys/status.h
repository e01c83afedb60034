/*
 * status: what control asks: which certificates are there?
 */
#ifndef DAEMONS_KEYS_STATUS_H
#define DAEMONS_KEYS_STATUS_H

#include "common/wire/channel.h"

extern const struct route status_routes[];

#endif
