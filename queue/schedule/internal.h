/*
 * What the files of schedule share among themselves.
 */
#ifndef QUEUE_SCHEDULE_INTERNAL_H
#define QUEUE_SCHEDULE_INTERNAL_H

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/base/error.h"
#include "queue/schedule/schedule.h"

TAILQ_HEAD(schedule_list, schedule_message);

/* Who sends: has messages that are due or active, or jobs queued. */
struct origin {
	uint32_t id;
	uint32_t active;     /* messages */
	uint32_t recipients; /* of these */
	uint32_t jobs;	     /* queued or out */
	struct {
		uint64_t first, rest;
	} tails[SCHEDULE_TRANSPORTS]; /* tags given last */
	struct schedule_list due;
	TAILQ_ENTRY(origin) turn; /* in schedule.turns while due is not empty */
	bool in_turns;
};

struct destination {
	struct schedule *schedule;
	unsigned transport;
	struct heap jobs;	/* by tag, not out */
	struct heap_node ready; /* in the transport's ready heap while a job may go, in the doomed
				 * heap while it is dead and has jobs; key: tag of its first job */
	bool doomed;		/* which of the two */
	TAILQ_ENTRY(destination) held_link; /* in the transport's list while held is true */
	bool held;			    /* not in the ready heap, since the agent is crowded */
	bool worked;			    /* a job has succeeded */
	uint64_t heard;			    /* when a job came back, or the first one went out */
	struct heap_node revive; /* in the transport's dead heap while it is dead, or its failures
				  * are remembered; key: until when */
	struct schedule_list parked;
	TAILQ_ENTRY(destination) link; /* in schedule.returned while that is true */
	bool returned;		       /* it works again: what is parked becomes due */
	uint32_t out;		       /* jobs with the agent */
	uint32_t window;	       /* jobs that may be out */
	uint32_t successes;	       /* since the window last grew */
	uint32_t failures;	       /* of the destination, in a row */
	uint64_t dead_until, dead_for;
	uint64_t parked_count;
	TAILQ_ENTRY(destination) all; /* in schedule.destinations */
	char *reply;		      /* what it said when it failed; NULL: nothing */
	uint64_t remember_until; /* it failed: not forgotten before, though nothing refers to it */
	size_t key_length;
	char key[];
};

struct transport {
	struct schedule_transport settings;
	struct heap ready, doomed, dead;
	struct map *destinations; /* key -> struct destination */
	TAILQ_HEAD(, destination) held;
	uint64_t served; /* the highest tag served: where new tags begin */
	uint32_t out;
};

struct schedule {
	struct schedule_settings settings;
	uint64_t random;
	struct heap waiting;
	TAILQ_HEAD(, origin) turns;
	TAILQ_HEAD(, destination) returned, destinations;
	LIST_HEAD(, schedule_walk) walks;
	struct idmap *origins; /* id + 1 -> struct origin */
	uint64_t due_count, active_count, recipient_count, job_count;
	bool shared; /* nobody with a message that is due may have more, until something ends */
	struct transport transports[SCHEDULE_TRANSPORTS];
};

struct origin *origin_of(struct schedule *s, uint32_t id);
void origin_release(struct schedule *s, struct origin *o);
/* Puts the destination where its state says: ready, dead or neither; frees it when it is unused. */
void destination_settle(struct destination *d, uint64_t now);
/* Only when it is in no heap and no map any more. */
void destination_free(struct destination *d);
void destination_works(struct destination *d);
void destination_fails(struct destination *d, uint64_t now);
uint64_t schedule_random(struct schedule *s, uint64_t below);

#endif
