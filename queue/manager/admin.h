/*
 * admin: what admin.c, walk.c and destinations.c share: a question of an administrator under way.
 */
#ifndef QUEUE_MANAGER_ADMIN_H
#define QUEUE_MANAGER_ADMIN_H

#include "common/dialogue/queue.h"
#include "queue/manager/manager.h"

enum { WALK_BATCH = SPOOL_STEP };

struct question {
	TAILQ_ENTRY(question) link;
	uint64_t request;
	uint32_t verb;
	/* which messages; see queue_ask */
	uint64_t id;
	bool all;
	char state[33], sender[321], recipient[321], user[321];
	uint64_t older, limit;
	/* the walk */
	bool cancelled, over;
	bool waits; /* its asker does not read for now */
	size_t cursor;
	uint64_t batch[WALK_BATCH]; /* ids that are next */
	size_t batch_count, batch_at;
	uint32_t listed;  /* recipients of the message at batch_at that were listed already */
	uint32_t reading; /* a read of the message is under way */
	struct buffer record;
	struct buffer file_header; /* of a large message that is shown */
	struct schedule_walk destinations;
	uint64_t count; /* messages, or destinations, listed or changed */
};

/* Nothing is sent to who does not wait for it any more. */
bool admin_send(const struct question *q, uint16_t number, const void *record);
/* Is there room for more of an answer? Else it goes on when there is. */
bool admin_room(void);
/* Answers QUEUE_DONE and frees the question. */
void admin_done(struct question *q, uint32_t code, const char *text);
const char *admin_state(const struct entry *e);

/* walk.c: some more messages; true: more can be done in the next turn. */
bool walk_step(struct question *q);

/* destinations.c: the same for QUEUE_DESTINATIONS. */
bool destinations_step(struct question *q);

/* change.c: does to the message what the verb says; false: nothing was to be done. */
bool change_message(uint32_t verb, struct entry *e);

#endif
