/*
 * questions: what the peers ask, from the message to the answer. So many of a peer are worked on at
 * once, its others wait in the order in which they came; each kind has a time limit.
 */
#ifndef DAEMONS_RESOLVER_QUESTIONS_H
#define DAEMONS_RESOLVER_QUESTIONS_H

#include <bsd/sys/queue.h>

#include "common/os/loop.h"
#include "common/service/service.h"
#include "daemons/resolver/dns.h"

enum {
	/* of one peer: none takes another's place */
	QUESTIONS_AT_ONCE = 512,    /* worked on */
	QUESTIONS_PEER_MAX = 65536, /* these and those that wait */
};

struct peer;

/* First member of each kind's struct, which is of memory_zero(). */
struct question {
	TAILQ_ENTRY(question) next;
	const struct question_kind *kind;
	struct peer *peer;
	uint64_t request;
	struct loop_timer limit;
	bool begun;
};

struct question_kind {
	uint64_t limit; /* microseconds from its arrival */
	void (*begin)(struct question *q);
	/* Answers that it can't be answered now, and why. */
	void (*give_up)(struct question *q, const char *why);
	void (*free)(struct question *q); /* with the DNS queries that it has under way */
};

/* From a handler of the channel. */
void questions_add(struct question *q, const struct question_kind *kind, struct channel *c,
		   uint64_t request);
void questions_send(const struct question *q, uint16_t number, const void *record);
void questions_end(struct question *q); /* it is answered: it is freed */

/* The peers' channels. */
void questions_up(struct channel *c, unsigned instance);
void questions_down(struct channel *c); /* nobody waits for its questions any more */

#endif
