/*
 * place: where the server lives, as its configuration says, and whether it is there.
 */
#ifndef COMMANDS_STAGEPOST_PLACE_H
#define COMMANDS_STAGEPOST_PLACE_H

#include <sys/types.h>

#include "common/config/config.h"

/* Reads the configuration; complains and returns NULL otherwise, with *code EX_CONFIG. */
struct config *place_config(const char *path, int *code);
/* The same for what is asked of a server that runs: a configuration that is wrong elsewhere than
 * in its places is complained of, and will do. */
struct config *place_known(const char *path, int *code);
/* Open spool/lock; -1 with errno. */
int place_lock(const struct config *config);
/* The master's process id when it holds the lock, 0 when nobody does, -1 with errno. */
pid_t place_master(int lock);
/* Reads the places and connects; complains and returns NULL otherwise. */
struct talk *place_talk(const char *path, int *code);

#endif
