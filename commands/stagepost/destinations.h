/*
 * destinations: where mail goes, as it arrives from the manager, sorted by who has most waiting.
 */
#ifndef COMMANDS_STAGEPOST_DESTINATIONS_H
#define COMMANDS_STAGEPOST_DESTINATIONS_H

#include <stdio.h>

#include "common/dialogue/queue.h"

enum { DESTINATIONS_SHOWN_MAX = 10000 }; /* of more, those with most waiting */

struct destinations;

struct destinations *destinations_new(void);
void destinations_free(struct destinations **d);
void destinations_add(struct destinations *d, const struct queue_destination *m);
/* A table, or one object a line. */
void destinations_print(struct destinations *d, FILE *to, bool json);

#endif
