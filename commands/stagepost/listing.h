/*
 * listing: messages of the queue, as they arrive from the manager, printed for people or programs.
 */
#ifndef COMMANDS_STAGEPOST_LISTING_H
#define COMMANDS_STAGEPOST_LISTING_H

#include <jansson.h>
#include <stdio.h>

#include "common/dialogue/queue.h"

struct listing;

enum { LISTING_FINDINGS_MAX = 10000 }; /* lines of `verify --json` that are kept */

/* verb: QUEUE_LIST: a table, one object a line; QUEUE_SHOW: a paragraph, one object a line;
 * QUEUE_VERIFY: lines. */
struct listing *listing_new(FILE *to, enum queue_verb verb, bool json);
void listing_free(struct listing **l);
/* A list that is not for programs is printed as mailq does. */
void listing_as_mailq(struct listing *l);
/* All has come. */
void listing_end(struct listing *l);
void listing_item(struct listing *l, const struct queue_item *m);
void listing_recipient(struct listing *l, const struct queue_recipient *m);
void listing_line(struct listing *l, struct slice text);
/* The message that came last is complete. */
void listing_flush(struct listing *l);
/* A new object with what verify has found so far: "findings". */
json_t *listing_findings(struct listing *l);

#endif
