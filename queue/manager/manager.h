/*
 * manager: the queue manager joins store (what is true) and schedule (what is next), and speaks
 * with writers, router, resolver, agents, bounce and control. What its files share.
 *
 *	manager.c   life: settings, the spool, time, the turn's end
 *	writers.c   leases and files out, notices in
 *	active.c    a message from waiting to active and back
 *	feed.c      which of its recipients are asked about, and when
 *	asking.c    questions to a peer that may die of one
 *	routes.c    asks the router where each recipient goes
 *	sites.c     asks the resolver which MX site a domain belongs to
 *	jobs.c      recipients of a message become jobs, by destination
 *	give.c      jobs to the agents, with the content
 *	outcomes.c  and back: outcomes, deaths
 *	results.c   what becomes of a recipient: log and ledger
 *	reports.c   asks bounce to tell the sender
 *	agents.c    the agents' channels, and what they hold
 *	orphans.c   outcomes of jobs that a manager before this one gave
 *	admin.c     what an administrator asks; walk.c goes through the messages for it, change.c
 *		    does it, destinations.c goes through the destinations
 */
#ifndef QUEUE_MANAGER_MANAGER_H
#define QUEUE_MANAGER_MANAGER_H

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/queue_id.h"
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/router.h"
#include "common/dialogue/writer.h"
#include "common/service/service.h"
#include "queue/schedule/schedule.h"
#include "queue/store/spool.h"

enum {
	ACTIVE_ARENA_MAX =
	    16 * 1024 * 1024, /* one message: envelope; and a portion of recipients */
	CONTENT_KEPT_MAX = 64 * 1024 * 1024, /* records of active messages kept in memory, all */
	ACTIVATE_STEP = 500,		     /* recipients of messages made active in one turn */
	JOBS_STEP = 500,		     /* recipients of jobs given in one turn, about */
	FEED_AT_ONCE = 500,		     /* recipients of a message that is not fed */
	FEED_PORTION = 2000,		     /* recipients whose jobs are made together */
	FEED_UNDER_WAY = 10000,		     /* recipients of one message at most */
	DEATHS_MAX = 3,			     /* of peers that held a message alone */
	SUSPECTS_TOGETHER = 20,		     /* so that one that takes hours delays no other */
	RETRY_SOON_US = 5 * 1000 * 1000,     /* after trouble of our own */
	DESTINATION_KEY_MAX = JOB_DESTINATION_MAX,
};

enum transport {
	TRANSPORT_LOCAL,  /* mailboxes of one owner */
	TRANSPORT_SMTP,	  /* other servers */
	TRANSPORT_SYSTEM, /* the machine's own users */
	TRANSPORTS,
	TRANSPORT_NONE = TRANSPORTS, /* it can't be delivered */
};

/* The processes that deliver. */
enum agent_id {
	AGENT_LOCAL,
	AGENT_LOCAL_SUSPECTS,
	AGENT_SMTP,
	AGENT_SMTP_SUSPECTS,
	AGENT_SYSTEM, /* each delivery is a child of its own; suspects wait until it is free */
	AGENTS
};

/* The manager's octets behind each stub of the index. */
struct stub {
	struct schedule_message schedule;
	struct active *active; /* NULL: at rest */
};

/* Memory of up to FEED_PORTION recipients of a message that are under way; it goes when none of
 * them is. Questions, deliveries and jobs use it. */
struct portion {
	TAILQ_ENTRY(portion) link;
	struct arena arena;
	uint32_t users, asked;
};
TAILQ_HEAD(portion_list, portion);

/* Where one recipient goes, once it is routed. */
struct delivery {
	TAILQ_ENTRY(delivery) link; /* of the list of its place */
	struct active *active;
	struct portion *portion;
	struct job *job;       /* NULL: it has none yet */
	struct search *search; /* whose answer it waits for; NULL: none */
	uint32_t recipient;    /* number in the message */
	uint32_t attempt;      /* once it is given */
	uint8_t transport;
	uint32_t deliver;		    /* number of the deliver statement */
	struct slice user, domain;	    /* of the mailbox */
	struct slice next_hop, destination; /* by smtp */
	struct slice address, original;	    /* all in the portion, or as long as the message */
};
TAILQ_HEAD(delivery_list, delivery);

enum job_place {
	JOB_NOWHERE,
	JOB_QUEUED,  /* in the schedule */
	JOB_SUSPECT, /* waits for its turn alone */
	JOB_UNREAD,  /* its attempts are written; waits for the content */
	JOB_PICKED,  /* leaves after the next flush */
	JOB_OUT,     /* an agent has it */
};

/* Recipients of a message that go to one destination, for one agent. */
struct job {
	struct schedule_job scheduled;
	TAILQ_ENTRY(job) link;	  /* of the list of its place; not while QUEUED */
	TAILQ_ENTRY(job) sibling; /* of the message's */
	struct active *active;
	struct portion *portion;
	struct delivery_list deliveries;    /* those without an outcome */
	uint32_t count;			    /* of them */
	struct slice next_hop, destination; /* by smtp */
	uint8_t transport;
	uint8_t place;	 /* enum job_place */
	uint8_t agent;	 /* from UNREAD on */
	uint8_t outcome; /* enum schedule_outcome, of those that came; NONE at first */
	bool suspect;	 /* an agent died of it: it goes where it can hurt only its like */
	bool alone;	 /* and so did one that had suspects only: nothing goes beside it */
};
TAILQ_HEAD(job_list, job);

/* An active message. */
struct active {
	struct entry *entry; /* NULL: the message has ended */
	uint64_t id;
	struct arena arena;
	struct buffer record;	 /* empty: not kept, it is read again when it is wanted */
	struct stored_message m; /* slices of record only while that is kept */
	struct slice sender, client, trace, envid;
	struct stored_recipient *recipients; /* as received */
	uint32_t origin;
	int file;	       /* of a large message; -1: not open */
	uint32_t routing;      /* questions to the router that are not answered */
	uint32_t siting;       /* deliveries that wait for the name of their site */
	uint32_t open;	       /* jobs queued or out */
	uint32_t reading;      /* reads under way: load, record, file */
	uint32_t content;      /* jobs, or a report, that need the content or wait for it */
	struct report *report; /* on it, under way; NULL: none */
	bool ready;	       /* the record was read: envelope and recipients are here */
	bool told_later;       /* a report could not be made just now */
	bool first;	       /* no job was queued yet */
	bool tried;	       /* an agent had it, or its destination is known to be dead */
	/* What an administrator has said of it, done when nothing is out any more. */
	bool hold, remove, bounce;
	uint8_t parked_at;	    /* enum transport */
	struct slice parked;	    /* key of a destination that is dead; empty: none */
	const char *corrupt;	    /* why it is to be set aside; NULL: it is not */
	struct job_list jobs;	    /* all that are open */
	struct delivery_list loose; /* deliveries that have a destination and no job yet */
	uint32_t loose_count;
	uint32_t deliveries;		/* all that there are */
	struct portion_list portions;	/* the newest first */
	bool spent;			/* a portion has no user any more */
	bool large;			/* to many: the envelope lies in the record, which stays */
	struct feed *feed;		/* NULL: all recipients were asked about */
	struct map *originals;		/* see active_received(); NULL: not needed yet */
	struct delivery **by_recipient; /* by its number; NULL: it has none */
	uint32_t by_recipient_size;
	uint32_t last_original;		    /* see active_received() */
	struct slice next_hop, destination; /* the last that were named */
	TAILQ_ENTRY(active) served;	    /* sites.c: an answer was for it */
	bool sited;			    /* it is in that list */
	TAILQ_ENTRY(active) patient;	    /* while siting > 0 */
	uint64_t retry_drawn, retry_at;	    /* of what was deferred last; queue time */
	uint64_t patient_since;		    /* when siting began */
};

struct manager {
	struct spool *spool;
	struct schedule *schedule;
	struct settings_limits limits;
	struct settings_retry retry;
	uint64_t started; /* queue time */
	size_t content_kept;
	bool draining;
	char postmaster[ADDRESS_MAX_OCTETS + 1];
	bool system_users; /* some mail goes to the machine's own users */
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
/* The wall clock at a moment of queue time, Unix seconds: for people. */
uint64_t manager_wall(uint64_t queue_time);

/* writers.c */
extern const struct route writer_routes[], bounce_routes[];
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
void active_place(struct entry *e, enum transport at, struct slice parked);
/* One thing less is under way: when nothing is left, the message goes to rest or ends. Frees a. */
void active_settle(struct active *a);
/* It is set aside as soon as nothing of it is out. */
void active_corrupt(struct active *a, const char *why);
/* A peer died while it had this message alone: that counts, and too often is too often. */
void active_killed(struct active *a, const char *why);
/* Its record has come into memory: it counts. */
void active_content_kept(struct active *a);
/* Beyond what may be kept in memory a record goes, unless somebody waits for it. */
void active_content_spare(struct active *a);
/* The recipient as received that this one is or came from; original: how that was written. */
const struct stored_recipient *active_received(struct active *a, uint32_t recipient,
					       struct slice original);

/* feed.c */
/* Asks about all recipients that are to be tried now, those of a message to many later. */
void feed_begin(struct active *a);
/* Recipients from that number on were added, and are to be asked about. */
void feed_added(struct active *a, uint32_t from);
/* The rest is not asked about any more. */
void feed_end(struct active *a);
/* When the message settles. False: all were asked about. */
bool feed_goes_on(struct active *a);
bool feeds_step(void); /* at the turn's end; true: there is more to do in the next turn */
/* For one recipient more. */
struct portion *portion_now(struct active *a);
static inline void portion_use(struct portion *p)
{
	p->users++;
}
static inline void portion_drop(struct active *a, struct portion *p)
{
	p->users--;
	a->spent |= p->users == 0;
}
/* Frees what nobody uses: when nobody has a slice of it in his hand. */
void portions_spare(struct active *a);
void portions_free(struct active *a);

/* results.c */
struct result {
	uint32_t recipient;
	struct slice address, original;
	enum recipient_status status;
	struct reply reply;
	const struct job_outcome *outcome; /* NULL: no agent was asked */
	uint8_t transport;		   /* enum transport of the agent */
	uint64_t not_before;		   /* queue time of the next attempt at least */
};
/* Logs and writes it; true: that ended the message (a is settled soon). */
bool result_take(struct active *a, const struct result *r);
/* What has not ended fails, by word of an administrator. */
void result_fail_rest(struct active *a);
void result_log_removed(uint64_t id);
struct reply reply_of(unsigned code, struct slice enhanced, struct slice text);

/* reports.c */
void reports_warm(void);
void reports_up(struct channel *c, unsigned instance);
void reports_down(struct channel *c);
void reports_pump(void);
void reports_look(void);
size_t reports_out(void); /* that a peer is at */
/* Of a message of which nothing is under way. True: there is something to tell, and a report is
 * begun; the message settles when it is over. Else it has to come again when something is left to
 * tell. May end the message. */
bool report_begin(struct active *a);
void report_withdraw(struct active *a); /* unless bounce is at it */
void report_content_came(struct active *a, int err);
/* Does the sender want to hear that this one was reached? */
bool report_wants_success(struct active *a, uint32_t recipient, struct slice original);
/* See spool_setup; and its notification has arrived. */
bool report_welcome(void *arg, uint64_t parent, uint32_t mark);
void report_arrived(uint64_t id);
void report_done(struct channel *c, const void *record);

/* routes.c */
extern const struct route router_routes[];
void routes_warm(void);
void routes_up(struct channel *c, unsigned instance);
void routes_down(struct channel *c);
void routes_pump(void); /* at the turn's end */
void routes_look(void); /* now and then: what is late */
/* expanded: address is what an alias has led to, so a user of that name goes before an alias. */
void routes_ask(struct active *a, struct portion *p, uint32_t recipient, struct slice address,
		struct slice original, bool expanded);

/* sites.c */
extern const struct route resolver_routes[];
void sites_warm(void);
void sites_up(struct channel *c, unsigned instance);
void sites_down(struct channel *c);
void sites_pump(void);
void sites_look(void);
/* Finds the destination of a delivery by smtp. When it is known it goes to its message's loose
 * ones, or it fails; when it has to be asked for, the message settles once more then. */
void sites_find(struct delivery *d);
void sites_forget(struct delivery *d); /* it does not wait any more */

/* jobs.c */
struct routed { /* a delivery that the router has named; memory of the message */
	struct routed *next;
	enum transport transport; /* NONE: asked about alone the router says why */
	uint32_t deliver;
	struct slice address, user, domain, next_hop;
};
void jobs_add(struct active *a, struct portion *p, uint32_t recipient, const struct routed *to,
	      struct slice original);
/* Deliveries that have a destination become jobs. */
void jobs_group(struct active *a);
/* Takes back what is not out. */
void jobs_withdraw(struct active *a);
/* The same of every message, for good: what is queued is not given any more. */
void jobs_recall(void);
size_t jobs_out(void);
size_t jobs_waiting(enum transport t);
/* It does not go to an agent; the message settles later. */
void delivery_close(struct delivery *d);

/* give.c */
void jobs_pump(void); /* at the turn's end */
bool content_there(const struct active *a);
/* Reads it: jobs and report hear of it. Only when nothing is being read. */
void content_fetch(struct active *a);
/* The content's fields of a job; fd is the message's. */
void content_describe(const struct active *a, struct job_start *start);

/* outcomes.c */
/* What an outcome makes of the recipient; spoiled content is no fault of its address. */
enum recipient_status job_status_of(const struct job_outcome *o);
void job_outcome(unsigned agent, const struct job_outcome *o);
void job_agent_died(unsigned agent);

/* orphans.c: outcomes of jobs that were given before this manager's start. */
void orphan_outcome(unsigned agent, const struct job_outcome *o);
bool orphans_step(void); /* at the turn's end; true: some are left */

/* agents.c */
extern const struct route agent_routes[];
void agents_up_local(struct channel *c, unsigned instance);
void agents_up_smtp(struct channel *c, unsigned instance);
void agents_up_system(struct channel *c, unsigned instance);
void agents_down(struct channel *c);
/* Which there are has changed, maybe: settings came. */
void agents_expect(void);
/* How many jobs each transport takes is told to the schedule. */
void agents_windows(void);
/* Which one has all mail of a transport, or its suspects: may be the same. */
enum agent_id agent_for(enum transport t, bool suspect);
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
/* Now and then: says so when mail waits for one that is not there. */
void agents_look(void);
/* The same for an administrator; empty: none. */
const char *agents_missing(void);
const char *transport_name(unsigned t);

/* admin.c */
extern const struct route admin_routes[];
void admin_up(struct channel *c, unsigned instance);
void admin_down(struct channel *c);
bool admin_step(void); /* goes on with walks; true: there is more to do in the next turn */

#endif
