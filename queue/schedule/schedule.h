/*
 * schedule: decides what is tried next. Pure: the clock is passed in (queue time, microseconds),
 * randomness comes from a seed, no file and no socket is known here.
 *
 * Two stages. A *message* waits until it is due; when there is room for active ones, the next is
 * chosen in turn between origins (an authenticated user, else a client network). An active message
 * has *jobs*, queued at their *destination* (a mailbox, an MX site, a relay host). The next job is
 * chosen fairly between origins, then by age, among the destinations whose window is open.
 *
 * Fairness is start-time fair queueing: every origin has two tails, one for the first job of a
 * message and one for all others, and a job's tag is one more than its tail, or than what is being
 * served now. So a list of 100,000 recipients delays neither another's mail nor a single mail of
 * its own sender.
 */
#ifndef QUEUE_SCHEDULE_SCHEDULE_H
#define QUEUE_SCHEDULE_SCHEDULE_H

#include <bsd/sys/queue.h>

#include "common/base/heap.h"
#include "common/base/slice.h"

enum {
	SCHEDULE_ACTIVE_MESSAGES = 20000,
	SCHEDULE_ACTIVE_RECIPIENTS = 100000, /* of active messages */
	SCHEDULE_ACTIVE_JOBS = 100000,
	SCHEDULE_JITTER_PERCENT = 25, /* a wait is lengthened by up to so much, never shortened */
	SCHEDULE_FAILURES_TO_DIE = 3, /* failures of a destination in a row */
	SCHEDULE_DUE_STEP = 1000,     /* messages that become due in one call */
	SCHEDULE_REPLY_MAX = 440,     /* octets kept of what a destination said last */
	SCHEDULE_QUIET_US = 10 * 1000 * 1000,
};

struct schedule;
struct destination;

struct schedule_settings {
	uint64_t retry_first, retry_longest; /* microseconds */
	uint64_t give_up, give_up_bounces;   /* of other mail, of mail from the null sender */
	/* limits; 0: the constants above */
	uint32_t active_messages, active_recipients, active_jobs;
};

/* A transport's windows: jobs out at once for one destination, and for the agent as a whole. */
struct schedule_transport {
	uint32_t window_first, window_most;
	uint32_t agent_most; /* jobs that the agent takes at once; 0: it is away */
	/* Destinations are strangers' servers: while more than half of agent_most is out, one that
	 * has not worked since it was last new gets one job at a time, and so does one that has
	 * finished none of its jobs for SCHEDULE_QUIET_US. So some that hang, on purpose or not,
	 * don't hold all that the agent can do. */
	bool wary;
	uint64_t dead_first, dead_longest;
};

enum schedule_place {
	PLACE_NONE,    /* held, set aside: schedule does not know it */
	PLACE_WAITING, /* until its time */
	PLACE_DUE,     /* in its origin's turn */
	PLACE_ACTIVE
};

/* The part of a waiting message's stub that belongs to schedule; zeroed at first. */
struct schedule_message {
	struct heap_node due;		    /* WAITING: key is the time */
	TAILQ_ENTRY(schedule_message) link; /* WAITING: of its destination; DUE: of its origin */
	struct destination *parked;	    /* WAITING: released when this comes back; NULL none */
	uint32_t origin;		    /* hash of user or client network */
	uint8_t place;			    /* enum schedule_place */
	bool urged; /* the caller's: its jobs go to dead destinations too; false when it waits */
	uint16_t recipients; /* set by the caller before it waits; not changed while it is active */
};

/* One delivery of an active message; embedded in the caller's struct, zeroed at first. */
struct schedule_job {
	struct heap_node order; /* in its destination, by tag */
	struct destination *destination;
	uint32_t origin;
	bool out; /* given to the agent */
};

struct schedule *schedule_new(const struct schedule_settings *settings, uint64_t seed);
/* The messages and jobs that are in it must still be there. */
void schedule_free(struct schedule **s);
void schedule_set(struct schedule *s, const struct schedule_settings *settings);

/* Transports are few and numbered by the caller from 0. */
enum { SCHEDULE_TRANSPORTS = 4 };
void schedule_transport(struct schedule *s, unsigned transport, const struct schedule_transport *t);

/* How many jobs the transport's agent takes at once now; 0: it is away. */
void schedule_agent(struct schedule *s, unsigned transport, uint32_t most);

/* A message that is due at a time (past: now). It must be in PLACE_NONE or PLACE_ACTIVE. parked:
 * the destination whose return makes it due, or NULL. */
void schedule_wait(struct schedule *s, struct schedule_message *m, uint64_t due, uint64_t now,
		   struct destination *parked);
/* Takes a message out, wherever it is; its jobs must be out of here before. */
void schedule_forget(struct schedule *s, struct schedule_message *m, uint64_t now);
/* Makes a waiting message due now; false when it is not waiting. */
bool schedule_hurry(struct schedule *s, struct schedule_message *m, uint64_t now);
/* Waiting messages whose time has come become due, and those that were parked at a destination
 * which works again; at most SCHEDULE_DUE_STEP a call. True: there may be more. */
bool schedule_due(struct schedule *s, uint64_t now);
/* The next message to become active, which it is from then on; NULL: none is due or the limits are
 * reached. No origin may have more of anything that is limited than is still free, so that there is
 * room for others: one alone has half of it, two have a third each. */
struct schedule_message *schedule_activate(struct schedule *s);
/* Has it as many active messages, recipients or jobs as it may? */
bool schedule_is_full(const struct schedule *s);
/* The next moment at which schedule_due() or schedule_activate() may have something, UINT64_MAX:
 * none. */
uint64_t schedule_wake(const struct schedule *s);
void schedule_counts(const struct schedule *s, uint64_t *waiting, uint64_t *due, uint64_t *active,
		     uint64_t *jobs);

/* A destination by its key, made when it is new. It lives while jobs or parked messages refer to
 * it, it is dead, or it failed within the last dead_longest: look it up again after any call that
 * takes a job or a message from it. */
struct destination *schedule_destination(struct schedule *s, unsigned transport, struct slice key);
struct slice destination_key(const struct destination *d);
/* Until when it is given nothing; 0: it is alive. */
uint64_t destination_dead_until(const struct destination *d, uint64_t now);
/* What it said when it failed as a whole, codes and text; kept until it works again. Say it before
 * the job is done. */
void destination_said(struct destination *d, struct slice reply);
struct slice destination_reply(const struct destination *d); /* empty: nothing, or it works */

/* For people: a destination as it is now. */
struct destination_view {
	unsigned transport;
	struct slice key, reply;      /* of the destination: until the next call */
	uint64_t queued, out, parked; /* jobs, jobs, messages */
	uint32_t window, failures;
	uint64_t dead_until; /* 0: it is alive */
};
/* A walk over all destinations that may stop at each of them; one that is made meanwhile may
 * come or not. Zeroed at first; while it is begun it stays where it is. */
struct schedule_walk {
	LIST_ENTRY(schedule_walk) link;
	struct destination *next;
	bool begun;
};
/* False: that was all, and the walk has ended. */
bool schedule_walk_next(struct schedule *s, struct schedule_walk *w, uint64_t now,
			struct destination_view *view);
/* Ends it early; fine when it is not begun. */
void schedule_walk_end(struct schedule_walk *w);

/* Queues a job. first: it is the first job of its message. */
void schedule_job_add(struct schedule *s, struct schedule_job *j, struct destination *d,
		      uint32_t origin, bool first, uint64_t now);
/* The destination of a queued job, if it is dead, is tried now by one job, as after its time. */
void schedule_job_urge(struct schedule_job *j, uint64_t now);
/* The next job for this transport's agent, which counts as out; NULL: nothing may go now. */
struct schedule_job *schedule_pick(struct schedule *s, unsigned transport, uint64_t now);
/* A job that will not be tried now because its destination is dead; the caller defers it. NULL:
 * none. */
struct schedule_job *schedule_pick_dead(struct schedule *s, unsigned transport, uint64_t now);
enum schedule_outcome {
	OUTCOME_SUCCESS, /* the destination works */
	OUTCOME_MESSAGE, /* this message or recipient was refused: the destination works */
	OUTCOME_SITE,	 /* the destination as a whole is in trouble */
	OUTCOME_NONE	 /* says nothing: the agent died, the job was taken back */
};
/* A job that was out is back; it belongs to the caller again. */
void schedule_job_done(struct schedule *s, struct schedule_job *j, enum schedule_outcome outcome,
		       uint64_t now);
/* Takes a job that is not out from its queue. */
void schedule_job_remove(struct schedule *s, struct schedule_job *j, uint64_t now);

/* When to try again a message that failed now and arrived then; with jitter. */
uint64_t schedule_retry_at(struct schedule *s, uint64_t arrived, uint64_t now);
/* Was the attempt that just failed the last one? bounce: the sender is null. */
bool schedule_give_up(const struct schedule *s, uint64_t arrived, bool bounce, uint64_t now);

#endif
