/*
 * mailq: the queue as Postfix's mailq prints it, for people's eyes and programs that read it
 * (check_mailq, munin).
 */
#ifndef COMMANDS_STAGEPOST_MAILQ_H
#define COMMANDS_STAGEPOST_MAILQ_H

#include <stdio.h>

#include "common/dialogue/queue.h"

struct mailq {
	FILE *to;
	uint64_t messages, octets;
	char reason[448]; /* of the recipients that follow */
};

void mailq_item(struct mailq *m, const struct queue_item *item);
void mailq_recipient(struct mailq *m, const struct queue_recipient *recipient);
/* The last line: how much that was. */
void mailq_end(const struct mailq *m);

#endif
