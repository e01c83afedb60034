/*
 * parts: what the files of this folder say to each other. Daemons include service.h alone.
 */
#ifndef COMMON_SERVICE_PARTS_H
#define COMMON_SERVICE_PARTS_H

#include "common/dialogue/master.h"
#include "common/service/service.h"

enum {
	SERVICE_MASTER_FD = 3, /* the channel to the master */
	SERVICE_LOG_FD = 4,    /* the channel to the log daemon */
	SERVICE_PEERS_MAX = 256,
};

/* A link that no table of the daemon lists is closed. Before peers_open() links only wait; then
 * they are opened and later ones at once. */
void peers_begin(const struct service_link *links);
void peers_link(const struct master_link *m);
void peers_open(void);
struct channel *peers_find(const char *role); /* the living one of the lowest instance */
void peers_flush(uint64_t microseconds);      /* what is queued, each waiting at most so long */

/* Decodes one record of a set and gives it to s when its table lists it; false: it does not decode
 * (another build of the master). */
bool setting_decode(const struct service *s, const struct master_setting *m);

/* Descriptors: directories are remembered for the sandbox, `empty` becomes the root of a daemon
 * that has not just one of them; directories and all else go to the daemon. */
void place_descriptor(const struct service *s, const struct master_descriptor *m);
/* Enters the sandbox of the role; ends the process when that fails. */
void place_enter(const struct service *s, const struct master_begin *begin);

#endif
