/*
 * smtp: what the files of this room share: the job with its recipients, the session, the
 * destination that holds both, and who calls whom.
 *
 *	jobs.c         the talk with the queue manager: jobs in, outcomes out
 *	outcome.c      what became of a recipient, and what it is told
 *	destination.c  jobs that wait for a session, sessions that wait for a job
 *	walk.c         the hosts that a job tries, one after the other
 *	lookup.c       asks the resolver for them
 *	session.c      a connection's life: connect, octets to replies, end
 *	hello.c        greeting, EHLO, STARTTLS
 *	transaction.c  MAIL RCPT DATA, and how a transaction ends
 *	replies.c      what is answered to them
 *	commands.c     how MAIL and RCPT are written
 *	body.c         content, from memory or from its file
 *	readers.c      threads that read files
 *	settings.c     what the configuration says
 */
#ifndef DAEMONS_SMTP_SMTP_H
#define DAEMONS_SMTP_SMTP_H

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/mail/content.h"
#include "common/net/connect.h"
#include "common/net/stream.h"
#include "common/net/tls_client.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/service/service.h"
#include "common/smtp/answer.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/stuff.h"
#include "common/table/next_hop.h"
#include "queue/store/content.h"

enum {
	JOBS_MOST = 2000,      /* under way at once: what the manager is told */
	HELD_MAX = 256 * 1024, /* recipients, with the outcomes that it has not noted */

	SESSIONS_MAX = 3000,	       /* of this process */
	DESTINATION_SESSIONS_MAX = 20, /* of one destination */
	CONNECTING_AT_FIRST = 2,       /* at once, until the destination has answered */
	ITEM_ADDRESSES_MAX = 5,	       /* tried for one item of the next hop (S40) */
	ITEM_SESSIONS_MAX = 2,	       /* of these, hosts that answered (S40) */
	TRIED_MAX = 32,		       /* addresses that one job tries, for all items */
	LOST_MAX = 3,	    /* sessions that may be lost under a job by no fault of its own */
	PIPELINE_DEPTH = 2, /* transactions under way in one session */
	SESSION_OUTPUT_MAX = 2 * 1024 * 1024, /* octets unsent */
	BODY_AHEAD = 256 * 1024,	      /* a file is read on while less is unsent */
	PLAIN_HOSTS_MAX = 256,		      /* whose TLS failed */
	RELAY_SIZE = JOB_RELAY_MAX + 1,
	HOST_NAME_SIZE = 256,
};

/* Microseconds. */
#define LOOKUP_TIMEOUT (60 * CLOCK_SECOND)
#define SESSION_IDLE   (2 * CLOCK_SECOND)   /* without a job, then QUIT */
#define SESSION_LIFE   (300 * CLOCK_SECOND) /* takes no new job after it */
#define SESSION_STALE  (CLOCK_SECOND / 10)  /* idle so long: RSET comes first (S49) */
#define OPEN_AFTER     (CLOCK_SECOND / 50)  /* a job waits so long before one more is opened */
#define PLAIN_FOR      (600 * CLOCK_SECOND) /* without TLS after a handshake that failed */

struct destination;
struct session;
struct body;
struct lookup;

/* outcome.c */

/* What is going to be told about recipients; the strings are the caller's. */
struct reason {
	enum job_status status;
	uint32_t code;
	char enhanced[ANSWER_ENHANCED_MAX + 1];
	bool site; /* connection, handshake or stream: not this message's fault (S47) */
	bool dsn, tls;
	struct slice text;
	struct slice relay; /* who said it; empty: we did */
};

struct outcome;

/* What names a recipient of a job; all of its octets are set. */
struct recipient_key {
	uint64_t message;
	uint32_t recipient, attempt;
};

enum recipient_state {
	RECIPIENT_WAITING,  /* not yet said, or to be said to another host */
	RECIPIENT_LEFT_OUT, /* of this transaction: the host can't take it */
	RECIPIENT_SAID,
	RECIPIENT_ACCEPTED,
};

/* Lives until the manager has noted its outcome. */
struct recipient {
	struct recipient_key key;
	struct job *job;      /* NULL: done */
	struct job *listed;   /* whose list it is in, done or not; NULL: that job is over */
	bool noted;	      /* nobody but that list needs it any more */
	uint8_t state;	      /* enum recipient_state */
	bool too_many;	      /* refused because the host takes only so many at once */
	uint32_t notify;      /* of enum notify_flag */
	struct slice address; /* these lie in the job's memory */
	struct slice original;
	struct slice orcpt;
	struct outcome *outcome; /* the last host's, and the final one when done; NULL: none yet */
};

/* Our own words; text is room for JOB_TEXT_MAX octets and a NUL. code 4xx or 5xx. */
void reason_own(struct reason *r, uint32_t code, const char *enhanced, bool site,
		char text[JOB_TEXT_MAX + 1], const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* The server's words. */
void reason_answer(struct reason *r, const struct session *s, const struct answer *a);
/* Keeps it for when there is no other host. What may pass stays over what may not. */
void recipient_note(struct recipient *r, const struct reason *why);
void job_note(struct job *j, const struct reason *why); /* all that are not done */
/* Final: the manager is told. job_end() does not free the job. */
void recipient_end(struct recipient *r, const struct reason *why);
void job_end(struct job *j, const struct reason *why);
void job_end_noted(struct job *j); /* with what was kept of each */
bool outcome_is_site(const struct outcome *o);
void outcome_reason(const struct outcome *o, struct reason *r); /* points into o */
void outcome_send(struct channel *c, const struct recipient *r);
void outcome_free(struct outcome **o);

/* walk.c */

struct host {
	struct net_address address;
	bool best; /* no other is preferred to it: if it is us, mail loops (S43) */
	bool by_mx;
	char name[HOST_NAME_SIZE];
};

struct walk {
	struct slice items; /* of the next hop, not begun */
	struct next_hop item;
	struct lookup *lookup; /* under way */
	struct host *hosts;    /* of the item */
	size_t host_count;
	uint32_t used;		       /* a bit for each */
	unsigned last;		       /* the one in use */
	char answered[HOST_NAME_SIZE]; /* name of the last that did */
	unsigned addresses, sessions;  /* tried of the item */
	unsigned tried_count;
	struct net_address tried[TRIED_MAX];
	bool looking;	/* for a host that answers */
	uint64_t since; /* loop_now() */
	bool reached;	/* a host has judged the message or a recipient */
	bool again;	/* the host before once more, without TLS */
	uint32_t lost;	/* sessions, by no fault of its own */
};

/* Goes on to the next host: opens a session for the job, or ends what is left of it. */
void walk_next(struct job *j);
/* A host has answered, and will be used. */
void walk_found(struct job *j);
/* The address is not tried again for this job. */
void walk_tried(struct job *j, const struct net_address *a);
bool walk_may_use(const struct job *j, const struct session *s);
/* A host has greeted (S40). */
void walk_greeted(struct job *j, const char *name);
void walk_ungreeted(struct job *j); /* that does not count */
/* The same host once more, without TLS. */
void walk_again(struct job *j);
void walk_free(struct walk *w);

/* lookup.c */

struct resolve_done;
/* code 0: hosts hold until the call ends. NULL: the resolver does not answer. */
typedef void lookup_done(void *arg, const struct resolve_done *answer, const struct host *hosts,
			 size_t count);
struct lookup *lookup_begin(struct slice name, bool mx, uint16_t port, lookup_done *done,
			    void *arg);
void lookup_free(struct lookup **l);
extern const struct route lookup_routes[];
void lookup_up(struct channel *c, unsigned instance);
void lookup_down(struct channel *c);
void lookup_warm(void);

/* jobs.c */

/* What is to be sent next of a transaction, or awaited before. */
enum step {
	STEP_RSET,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_GO,      /* 354 is awaited */
	STEP_CONTENT, /* is being sent */
	STEP_SENT,    /* all is sent; replies are awaited */
};

struct job {
	TAILQ_ENTRY(job) link; /* of those that wait at the destination, or of the session's */
	struct destination *destination;
	struct session *session; /* that works for it: connects, or has its transaction */
	bool queued;
	bool strayed; /* from the destination that the manager knows */
	uint64_t queued_at;
	uint64_t message;
	uint32_t count, pending; /* recipients, and those of them that are not done */
	uint32_t room;
	struct recipient **recipients;
	struct slice sender, envid, next_hop;
	uint32_t flags; /* of enum job_flag */
	struct content_flags content_flags;
	struct content content;
	int fd; /* of the large file; -1: none */
	uint64_t size;
	struct walk walk;

	/* its transaction */
	enum step step;
	uint32_t next;	      /* recipient to be said */
	uint32_t outstanding; /* replies */
	uint32_t said, answered, accepted, delivered;
	bool chunks;	/* BDAT */
	bool utf8;	/* SMTPUTF8 is said */
	bool heard;	/* a reply has come */
	bool refused;	/* MAIL was */
	bool decided;	/* nothing that is still to come changes an outcome */
	uint64_t began; /* loop_now() */
	uint64_t setup_us;
	uint64_t content_end; /* octets that the session had sent, with the last of the content */
	struct body *body;    /* a file on its way */

	char octets[]; /* that the slices point to */
};
TAILQ_HEAD(job_list, job);

extern const struct route jobs_routes[];
void jobs_up(struct channel *c, unsigned instance);
void jobs_down(struct channel *c);
void jobs_warm(void);
void jobs_start(void);
void jobs_drain(void);
/* A recipient is done: its outcome is sent, and kept. */
void jobs_recipient_done(struct recipient *r);
void job_free(struct job *j); /* all of its recipients are done */

/* destination.c */

TAILQ_HEAD(session_list, session);

struct destination {
	TAILQ_ENTRY(destination) touched_link;
	bool touched;
	struct job_list waiting;
	size_t waiting_count;
	struct session_list sessions;
	unsigned session_count, ready_count; /* of these, past EHLO */
	unsigned walking;		     /* jobs that look for a host */
	struct loop_timer timer;	     /* to open one more session */
	size_t key_len;
	char key[];
};

void destinations_warm(void);
void destinations_start(void);
void destination_add(struct slice key, struct job *j);
/* Something has changed: who waits is looked at, at the turn's end. */
void destination_touch(struct destination *d);
/* The job waits (again), at the front. */
void destination_return(struct job *j);
/* A job that may be put behind another in this session, or NULL. */
struct job *destination_take(struct destination *d, const struct session *s);
/* The job's hosts are not those of the site that the destination is of: it gets a destination of
 * its own, so that nobody's mail meets another's servers, and none is blamed for another's. */
void destination_stray(struct job *j);
/* The walk of a job has ended at the site's fault: no host is there for those that wait either. */
void destination_failed(struct destination *d, const struct outcome *o);
/* There is room for sessions again. */
void destinations_touch_waiting(void);
void destinations_quit(void); /* all idle sessions */

/* session.c */

enum phase {
	PHASE_CONNECT,
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_HANDSHAKE,
	PHASE_READY,
};

/* What a reply is to. */
enum expected_kind {
	EXPECT_GREETING,
	EXPECT_EHLO,
	EXPECT_HELO,
	EXPECT_STARTTLS,
	EXPECT_RSET,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_DOT,	  /* or the last chunk */
	EXPECT_CHUNK,	  /* another one */
	EXPECT_EMPTY_DOT, /* 354 came though no recipient is valid: RFC 2920 3.1 */
	EXPECT_KINDS
};

struct expected {
	enum expected_kind kind;
	uint32_t recipient;
	struct job *job; /* whose transaction; NULL: none */
	uint64_t sent;	 /* octets of the session, with the last of what it is the reply to */
};

struct session {
	TAILQ_ENTRY(session) link;	/* of the destination's */
	TAILQ_ENTRY(session) idle_link; /* of all that idle, oldest first */
	TAILQ_ENTRY(session) dead_link;
	struct destination *destination;
	struct connector *connector;
	struct stream *stream; /* NULL: not connected, or ended */
	enum phase phase;
	bool idle, dead;
	bool tls;
	bool fresh_tls;	      /* a new one without it would be worth a try */
	bool dirty;	      /* a transaction may be open at the server: RSET (S49) */
	struct job *opener;   /* for which it was opened, until it is ready */
	struct job_list jobs; /* whose transactions are under way, oldest first */
	unsigned job_count;
	unsigned transactions;	   /* begun */
	struct expected *expected; /* ring of replies that are due */
	size_t expected_first, expected_count, expected_size;
	uint64_t opened_at, idle_since;
	uint64_t sent; /* octets given to the stream */
	struct loop_timer idle_timer;
	struct host host;
	struct answer answer;
	struct capabilities capabilities;
	char relay[RELAY_SIZE];
};

void sessions_start(void);
bool sessions_room(void); /* may one more be opened? An idle one is ended for it */
/* For the job, which waits for it (job->session). */
void session_open(struct job *j, const struct host *h);
bool session_send(struct session *s, struct slice octets);
bool session_pass(struct session *s, struct slice octets); /* many: see stream_pass() */
bool session_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void session_expect(struct session *s, enum expected_kind kind, struct job *j, uint32_t recipient);
void session_ready(struct session *s); /* EHLO is through */
/* It has no job now; and it has one again. */
void session_rest(struct session *s);
void session_work(struct session *s);
void session_clock(struct session *s); /* sets the deadline for what is next */
/* Ends it with a QUIT that nobody waits for (S50). */
void session_quit(struct session *s);
/* Ends it at once. */
void session_drop(struct session *s);
/* The host is of no use to the one who opened the session: it goes to the next. */
void session_unfit(struct session *s, const struct reason *why);
/* The connection is lost, or worthless; why: what happened, for a text. */
void session_lost(struct session *s, const char *why);
/* 421: the server ends the session with this reply (S45), which was to a command of asker's
 * transaction; NULL: to no command. */
void session_closed_by(struct session *s, enum expected_kind kind, struct job *asker,
		       const struct answer *a);

/* hello.c */
void hello_begin(struct session *s);
void hello_line(struct session *s, struct slice line); /* of the reply to EHLO */
void hello_reply(struct session *s, enum expected_kind kind);
void hello_secured(struct session *s);
void hello_unsafe(struct session *s); /* the handshake has failed */
void hello_warm(void);

/* transaction.c */
/* Begins the job's transaction in a session that has room for it. */
void transaction_start(struct session *s, struct job *j);
/* Sends what may be sent. */
void transaction_pump(struct session *s);
/* MAIL, DATA or the content were refused, for all whose state is least: 5xx is final, 4xx may be
 * better elsewhere. */
void transaction_refuse(struct session *s, struct job *j, enum recipient_state least);
/* The session is over; nothing more comes. */
void transaction_lost(struct session *s, struct job *j, const char *why);
/* The server ended the session with its reply to this transaction. */
void transaction_refused(struct session *s, struct job *j, const struct reason *why);
/* It did not begin: the job is none the worse. */
void transaction_unharmed(struct session *s, struct job *j);
/* All of the file was sent. */
void transaction_content_sent(struct session *s, struct job *j);
/* The file can't be sent; the session is no longer of use. */
void transaction_content_failed(struct session *s, struct job *j, int error);

/* replies.c */
void transaction_reply(struct session *s, const struct expected *e);
/* The reply came while content was being sent. */
void transaction_early_reply(struct session *s, struct job *j);

/* commands.c */
void commands_mail(struct session *s, const struct job *j);
void commands_rcpt(struct session *s, const struct recipient *r);
/* Which recipients may be said to this host; notes why not for the others. How many. */
uint32_t commands_select(struct session *s, struct job *j);

/* body.c */
/* Sends the content, or begins to. */
void body_send(struct session *s, struct job *j);
void body_more(struct session *s, struct job *j); /* there is room again */
void body_stop(struct job *j);

/* readers.c */
void readers_start(void);
struct reading;
typedef void reading_done(void *arg, int result, int error, struct slice piece);
/* content outlives it. done comes in the loop, once for each reading_next(). */
struct reading *reading_new(const struct content *c, reading_done *done, void *arg);
void reading_next(struct reading *r);
/* fd is the content's, closed when nobody reads it any more. */
void reading_free(struct reading **r);

/* settings.c */
void smtp_settings_begin(void);
void smtp_setting(const struct record *record, const void *value);
void smtp_settings_end(void);
const char *smtp_hostname(void);
/* For how long a server is waited for, since the last setting. */
const struct settings_timeouts *smtp_timeouts(void);

#endif
