/*
 * manager: the queue manager joins store (what is true) and schedule (what is next), and speaks
 * with writers, router, agents and control. What its files share.
 *
 *	manager.c   life: settings, the spool, time, the turn's end
 *	writers.c   leases and files out, notices in
 *	active.c    a message from waiting to active and back
 *	routes.c    asks the router where each recipient goes
 *	jobs.c      deliveries: to the agents and back
 *	agents.c    the agents' channels, and what they hold
 *	orphans.c   outcomes of jobs that a manager before this one gave
 *	admin.c     what an administrator asks; walk.c goes through the messages for it, change.c
 *		    does it
 */
#ifndef QUEUE_MANAGER_MANAGER_H
#define QUEUE_MANAGER_MANAGER_H

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/queue_id.h"
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/dialogue/router.h"
#include "common/dialogue/writer.h"
#include "common/service/service.h"
#include "queue/schedule/schedule.h"
#include "queue/store/spool.h"

enum {
	ACTIVE_ARENA_MAX = 16 * 1024 * 1024, /* one message: envelope and deliveries */
	CONTENT_KEPT_MAX = 64 * 1024 * 1024, /* records of active messages kept in memory, all */
	ACTIVATE_STEP = 500,		     /* recipients of messages made active in one turn */
	JOBS_STEP = 1000,		     /* jobs given in one turn */
	DEATHS_MAX = 3,			     /* of agents that held a message alone */
	TRANSPORT_LOCAL = 0,
	AGENT_ALL = 0, /* instance of local for all mail */
	AGENT_SUSPECTS = 1,
	AGENTS = 2,
	RETRY_SOON_US = 5 * 1000 * 1000, /* after trouble of our own */
};

/* The manager's octets behind each stub of the index. */
struct stub {
	struct schedule_message schedule;
	struct active *active; /* NULL: at rest */
};

enum delivery_place {
	DELIVERY_QUEUED,  /* in the schedule */
	DELIVERY_SUSPECT, /* waits for its turn alone */
	DELIVERY_UNREAD,  /* its attempt is written; waits for the content */
	DELIVERY_PICKED,  /* leaves after the next flush */
	DELIVERY_OUT,	  /* an agent has it */
};

/* Where one recipient goes, once it is routed. */
struct delivery {
	struct schedule_job job;
	TAILQ_ENTRY(delivery) link; /* of the list of its place; not while QUEUED */
	TAILQ_ENTRY(delivery) sibling;
	struct active *active;
	uint32_t recipient; /* number in the message */
	uint32_t attempt;
	uint32_t deliver;
	struct slice address, original, user, domain; /* in the message's arena */
	uint8_t place;				      /* enum delivery_place */
	uint8_t agent;				      /* from UNREAD on */
	bool suspect;				      /* goes to the suspects' agent */
};
TAILQ_HEAD(delivery_list, delivery);

/* An active message. */
struct active {
	struct entry *entry;
	struct arena arena;
	struct buffer record;	 /* empty: not kept, it is read again for each job */
	struct stored_message m; /* slices of record only while that is kept */
	struct slice sender, client, trace;
	struct slice *recipients; /* addresses as received */
	uint32_t origin;
	int file;	  /* of a large message; -1: not open */
	uint32_t routing; /* questions not answered */
	uint32_t open;	  /* deliveries queued or out */
	uint32_t reading; /* reads under way: load, record, file */
	uint32_t content; /* deliveries that wait for the content or with it: UNREAD or PICKED */
	bool first;	  /* no job was queued yet */
	bool tried;	  /* an agent had it, or its mailbox is known to be dead */
	/* What an administrator has said of it, done when nothing is out any more. */
	bool hold, remove;
	struct slice parked;		 /* key of a destination that is dead; empty: none */
	const char *corrupt;		 /* why it is to be set aside; NULL: it is not */
	struct delivery_list deliveries; /* all that are open */
};

struct manager {
	struct spool *spool;
	struct schedule *schedule;
	struct settings_limits limits;
	struct settings_retry retry;
	uint64_t started; /* queue time */
	size_t content_kept;
	bool draining;
	bool agents_known; /* every agent has said what it holds: messages may become active */
};

extern struct manager manager; /* written by manager.c, but content_kept by active.c and
				* agents_known by agents.c */

static inline struct stub *stub_of(struct entry *e)
{
	return entry_extra(e);
}

static inline struct entry *entry_of(struct schedule_message *m)
{
	return (struct entry *)(void *)container_of(m, struct stub, schedule) - 1;
}

/* manager.c */
void manager_settings_begin(void);
void manager_setting(const struct record *record, const void *value);
void manager_settings_end(void);
void manager_descriptor(const struct service_descriptor *d);
void manager_warm(void);
void manager_start(void);
void manager_drain(void);
void manager_orphaned(void);
uint64_t manager_now(void);
uint64_t manager_arrived(const struct entry *e); /* queue time, microseconds */

/* writers.c */
extern const struct route writer_routes[];
void writers_up(struct channel *c, unsigned instance);
void writers_down(struct channel *c);
void writers_pressure(void);		   /* tells them when it has changed */
void writers_serve(void);		   /* asks again for what could not be lent */
const char *writers_pressure_reason(void); /* empty: none */

/* Who sent a message that arrives just now; 0: a scan found it. */
uint32_t writers_origin(uint64_t id);

/* active.c */
void active_arrived(void *arg, struct entry *e);
void active_ended(void *arg, struct entry *e);
void active_begin(struct entry *e);
/* Forgets the state of a message at rest that was loaded to be looked at, unless a former manager's
 * job of it may be under way: to rest takes attempts back. */
void active_looked_at(struct entry *e);
/* Puts an at-rest message where its disposition says. parked: key of the destination whose return
 * makes it due sooner; empty: none. */
void active_place(struct entry *e, struct slice parked);
/* One thing less is under way: when nothing is left, the message goes to rest or ends. Frees a. */
void active_settle(struct active *a);
/* Sets a recipient's outcome: logs, writes, and says whether that ended the message (a is gone). */
bool active_result(struct active *a, uint32_t recipient, struct slice address,
		   struct slice original, enum recipient_status status, const struct reply *reply);
/* It is set aside as soon as nothing of it is out. */
void active_corrupt(struct active *a, const char *why);
/* Its record has come into memory: it counts. */
void active_content_kept(struct active *a);
/* Beyond what may be kept in memory a record goes, unless a delivery waits for it. */
void active_content_spare(struct active *a);

/* routes.c */
extern const struct route router_routes[];
void routes_warm(void);
void routes_up(struct channel *c, unsigned instance);
void routes_down(struct channel *c);
/* expanded: address is what an alias has led to, so a user of that name goes before an alias. */
void routes_ask(struct active *a, uint32_t recipient, struct slice address, struct slice original,
		bool expanded);
struct reply reply_of(unsigned code, struct slice enhanced, struct slice text);

/* jobs.c */
struct routed { /* a delivery that the router has named; memory of the message */
	struct routed *next;
	bool none; /* it can't be delivered; asked about alone the router says why */
	uint32_t deliver;
	struct slice address, user, domain;
};
void jobs_add(struct active *a, uint32_t recipient, const struct routed *to, struct slice original);
void jobs_pump(void); /* at the turn's end */
/* Takes back what is not out. */
void jobs_withdraw(struct active *a);
/* The same of every message, for good: what is queued is not given any more. */
void jobs_recall(void);
/* What an outcome makes of the recipient; spoiled content is no fault of its address. */
enum recipient_status job_status_of(const struct job_outcome *o);
void job_outcome(unsigned agent, const struct job_outcome *o);
void job_agent_died(unsigned agent);
size_t jobs_out(void);

/* orphans.c: outcomes of jobs that were given before this manager's start. */
void orphan_outcome(unsigned agent, const struct job_outcome *o);
bool orphans_step(void); /* at the turn's end; true: some are left */

/* agents.c */
extern const struct route agent_routes[];
void agents_up(struct channel *c, unsigned instance);
void agents_down(struct channel *c);
/* The channel to give jobs to; NULL: it is not there, or has not said yet what it holds. */
struct channel *agent_channel(unsigned agent);
/* The outcome is written: its agent is told so after the next flush. */
void agent_note(unsigned agent, uint64_t message, uint32_t recipient, uint32_t attempt);
void agents_send_notes(void);
/* Does the agent hold jobs from before this manager's start? */
bool agent_holds(unsigned agent);
/* Is a job of that message such a one, or is its outcome still to be written? */
bool agents_hold(uint64_t message);
/* An outcome of such a job has come and is to be written; it is written. */
void agents_keep(unsigned agent, uint64_t message);
void agents_kept(uint64_t message);

/* admin.c */
extern const struct route admin_routes[];
void admin_up(struct channel *c, unsigned instance);
void admin_down(struct channel *c);
bool admin_step(void); /* goes on with walks; true: there is more to do in the next turn */

#endif
