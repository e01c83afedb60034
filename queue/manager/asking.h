/*
 * asking: questions to a peer that may die of one of them (router, resolver, bounce). What was
 * outstanding when it died is *doubtful*: asked again one at a time, with nothing beside it and
 * before all others, until the peer has answered. So one bad question can neither stop the others
 * for ever nor be blamed for what it did not do: one that is alone in a dying peer is named to its
 * owner.
 *
 * The owner embeds a struct inquiry in its own; nothing is copied.
 */
#ifndef QUEUE_MANAGER_ASKING_H
#define QUEUE_MANAGER_ASKING_H

#include <bsd/sys/queue.h>

#include "common/wire/channel.h"

struct inquiry {
	TAILQ_ENTRY(inquiry) link;
	uint64_t number; /* for the field `request`; never used again */
	uint64_t since;	 /* loop_now() when it was begun */
	uint8_t place;	 /* which list */
};
TAILQ_HEAD(inquiry_list, inquiry);

struct asking_calls {
	/* Puts the question, from its beginning, into the channel; false: no room now. */
	bool (*send)(struct channel *c, struct inquiry *q);
	/* It was alone in a dying peer; it may be ended, else it is asked alone once more. */
	void (*killed)(struct inquiry *q);
	/* It was not answered in time, and is ended. */
	void (*late)(struct inquiry *q);
	uint64_t timeout_us;
	size_t most; /* asked at once */
};

struct asking;

struct asking *asking_new(const struct asking_calls *calls);
/* Begins a question; doubtful: it has been alone in a dying peer before. */
void asking_begin(struct asking *a, struct inquiry *q, bool doubtful);
/* NULL: nobody waits for an answer to that number. */
struct inquiry *asking_find(const struct asking *a, uint64_t number);
/* It is answered or not wanted any more. */
void asking_end(struct asking *a, struct inquiry *q);
size_t asking_count(const struct asking *a);
/* A fresh peer; it has died. */
void asking_up(struct asking *a, struct channel *c);
void asking_down(struct asking *a);
bool asking_has_peer(const struct asking *a);
/* At the turn's end: asks what can be asked. */
void asking_pump(struct asking *a);
/* Now and then: ends what is late. */
void asking_look(struct asking *a);

#endif
