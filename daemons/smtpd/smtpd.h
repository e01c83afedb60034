/*
 * smtpd: what the files of this room share: the session, its transaction, and who calls whom.
 *
 *	main.c, submission.c  the two roles
 *	settings.c     what the configuration says; each set has a number
 *	server.c       listeners and what differs between them, accepting, drain
 *	pickup.c       sessions that pickup hands over
 *	rates.c        what each client did in a minute
 *	session.c      a connection's life, and what is said on it
 *	command.c      octets -> command lines -> verbs
 *	session_log.c  what is logged of it
 *	handshake.c    TLS begins
 *	verb_X.c       one SMTP verb each
 *	login.c        an AUTH exchange: what the client says, and whether accounts believes it
 *	transaction.c  what MAIL begins and DATA or BDAT LAST ends
 *	receive.c      content: header and body, to the draft
 *	enqueue.c      a complete message: what we add, the commit, the 250
 *	usage.c        asks whether a user may send so much
 *	alarm.c        mails the postmaster of a user over a limit
 *	verdict.c      asks at each step whether to go on
 *	names.c        the clients' names by DNS
 *	queue.c        the writer of the queue, and its talk with the queue manager
 */
#ifndef DAEMONS_SMTPD_SMTPD_H
#define DAEMONS_SMTPD_SMTPD_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/queue_id.h"
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/dialogue/router.h"
#include "common/dialogue/usage.h"
#include "common/mail/address.h"
#include "common/mail/completion.h"
#include "common/mail/header.h"
#include "common/net/clients.h"
#include "common/net/sockaddr.h"
#include "common/net/stream.h"
#include "common/sasl/sasl.h"
#include "common/service/service.h"
#include "common/smtp/bdat.h"
#include "common/smtp/command.h"
#include "common/smtp/dot.h"
#include "common/smtp/line.h"
#include "queue/store/writer.h"

enum {
	SESSION_OUTPUT_MAX = 64 * 1024,	   /* replies a client has not read */
	TRANSACTION_ARENA_FIXED = 4096,	   /* octets, and a recipient takes at most ... */
	TRANSACTION_ARENA_RECIPIENT = 832, /* ... so many more, with its ORCPT */
	RECIPIENT_MEMORY = 96,		   /* octets that one takes besides its key */
	RECIPIENT_KEY_MAX = ADDRESS_MAX + 2 + ORCPT_MAX,
	RECIPIENTS_MEMORY_MAX = 64 * 1024 * 1024, /* recipients under way, of all sessions */
	HEADS_MEMORY_MAX = 64 * 1024 * 1024,	  /* header blocks under way, of all sessions */
	COMMAND_JUNK_MAX = 100,		/* NOOP RSET VRFY HELP EHLO without mail between them */
	HOPS_MAX = 100,			/* Received fields; RFC 5321 6.3 */
	DATA_RATE_WINDOW_US = 60000000, /* over which limits { min-rate } is looked at */
	VERDICT_TIMEOUT_US = 10000000,
	HANDSHAKE_TIMEOUT_US = 30000000,     /* from the connection, or STARTTLS, to TLS */
	LINE_LOGIN_MAX = SASL_LINE_MAX + 64, /* with `AUTH MECHANISM ` and CRLF */
	LOGIN_FAILURES_MAX = 3,		     /* in a session; then 421 */
	PICKUP_SESSIONS_MAX = 64,	     /* of pickup, at once */
};

struct listener;
struct question;
struct login;

/* What differs between the places where clients come. */
struct listener_kind {
	const char *name; /* as configured; the router hears it */
	bool wrapped;	  /* TLS from the first octet (RFC 8314 3.3) */
	bool login;	  /* users log in here, under TLS, and must (RFC 6409 4.3) */
	bool local;	  /* programs of this machine; the kernel says whose */
};

enum phase {
	PHASE_SECURING, /* TLS begins; what comes before it is thrown away (RFC 3207 4.2) */
	PHASE_GREETING, /* waits for the verdict on the connection */
	PHASE_COMMAND,
	PHASE_LOGIN,  /* AUTH: waits for the client's next line, or for accounts */
	PHASE_DATA,   /* content arrives */
	PHASE_CHUNK,  /* a chunk of content arrives, of BDAT */
	PHASE_COUNT,  /* content is complete; may the user send so much? */
	PHASE_COMMIT, /* content is complete; waits for the disk */
};

/* What BDAT has begun and LAST, RSET or a new hello ends (RFC 3030 2). */
enum chunks {
	CHUNKS_NONE,
	CHUNKS_TAKEN,
	CHUNKS_REFUSED, /* what still comes is thrown away, also when there is no transaction */
};

/* A recipient as accepted. Its key is what makes it another one than those before (S35): the
 * address; with DSN parameters also a NUL, a letter for NOTIFY, and ORCPT. */
struct recipient {
	struct slice key;
	uint16_t address_len;
	uint8_t notify; /* of enum notify_flag */
};

/* What MAIL began and DATA or BDAT LAST ends (RFC 5321 3.3). */
struct transaction {
	struct session *session; /* NULL: the client left while the commit was under way */
	struct arena arena;
	uint64_t id;
	struct slice sender; /* without < >; empty: null reverse-path */
	uint32_t flags;	     /* of enum job_flag */
	struct slice envid;  /* ENVID as it came */
	struct recipient *recipients;
	uint32_t recipient_count, recipient_size;
	size_t recipient_octets; /* memory of all, as it is counted */
	size_t record_octets;	 /* what all take in the record */
	struct map *seen;	 /* recipients; NULL below two */
	struct recipient asked;	 /* recipient on which a verdict is awaited */
	char *asked_key;	 /* its key lies there; NULL: none is asked for */
	bool discard;		 /* a verdict said so: accept, deliver nothing */
	/* A reload changes nothing for a transaction that has begun. */
	uint64_t message_size_max;
	uint32_t recipients_max;
	bool normalize;
	/* content */
	struct dot_reader dot; /* of DATA */
	struct header_scan scan;
	struct buffer head; /* content until the header's end is found, then the header block */
	struct draft *draft;
	bool eight_bit_header;
	bool last_cr, last_end;		 /* normalising: the octet before was CR; was CR or LF */
	uint64_t stored;		 /* octets of header and body as they are kept */
	struct content_flags flags_seen; /* when content is complete */
	struct header_look look;	 /* when content is complete; points into head */
	struct slice hold;		 /* why it is to be held when it is committed; empty: not */
	struct refusal refusal;		 /* why the content is not kept; code 0: it is */
};

/* Verbs of a kind that a session has said. */
struct verb_count {
	uint32_t all, refused;
};

struct session {
	TAILQ_ENTRY(session) link;	   /* of all sessions */
	TAILQ_ENTRY(session) closing_link; /* of those that end at this turn's end */
	struct stream *stream;
	struct listener *listener;
	const struct listener_kind *kind; /* of it */
	struct client *client;
	struct line_reader lines;
	struct transaction *transaction;
	enum phase phase;
	enum chunks chunks;
	struct bdat_reader bdat;
	bool chunk_last;	      /* the chunk under way is the last of its message */
	struct refusal chunk_refusal; /* CHUNKS_REFUSED: why */
	bool esmtp, closing;
	bool quits;    /* has said QUIT */
	bool local;    /* kind->local */
	bool pickup;   /* is of pickup, which has said whose */
	bool secure;   /* speaks TLS */
	bool begun;    /* PHASE_SECURING: the handshake, not before it our last word has left */
	bool in_trust; /* as settings number judged_by have it */
	bool trusted;  /* in trust; where users log in: has done so. One of ours */
	uint64_t judged_by;
	char *helo; /* NULL: not said yet */
	char *name; /* by DNS; NULL: not known, or not yet */
	uint32_t errors, unknown, junk;
	uint32_t messages;
	struct verb_count counts[VERB_COUNT]; /* for the log */
	enum verb verb;			      /* the last one */
	bool refused;			      /* is counted in .refused already */
	const char *after;	   /* for the log: the step that was reached; a constant */
	const char *how;	   /* it ended; a constant; NULL: it has not */
	uint64_t verdict;	   /* call under way; 0: none */
	struct question *question; /* of that call */
	uint64_t naming;	   /* call under way for the name; 0: none */
	char address[64];	   /* of the client, numeric; "local" */
	uint32_t uid;		   /* of the local socket */
	char *user;		   /* "uid=1000" of it; the address of a login; NULL: nobody */
	struct login *login;	   /* an exchange under way; NULL: none */
	const char *mechanism;	   /* by which the user has logged in; NULL: nobody has */
	uint32_t denied;	   /* logins that failed */
	uint64_t counting;	   /* call to usage under way; 0: none */
};

/* submission.c */
extern const struct service submission;

/* settings.c */
struct smtpd_settings {
	uint64_t number; /* grows with each reload */
	char hostname[HOST_NAME_MAX_OCTETS + 1];
	char origin[HOST_NAME_MAX_OCTETS + 1];
	char postmaster[ADDRESS_MAX_OCTETS + 1]; /* empty: postmaster at origin */
	struct settings_limits limits;
	bool peer_names;
	bool tls; /* there is a certificate */
	bool hide_client;
};
const struct smtpd_settings *smtpd_settings(void);
void smtpd_settings_begin(void);
void smtpd_setting(const struct record *record, const void *value);
void smtpd_settings_end(void);
bool smtpd_trusts(const struct net_address *a);
/* Has the listener of this address (as configured) `bare-newline normalize`? */
bool smtpd_normalizes(struct slice listener);

/* server.c */
void server_descriptor(const struct service_descriptor *d);
void server_warm(void);
void server_start(void);
void server_queue_ready(void); /* there is a segment to write to: connections are welcome */
void server_drain(void);
/* A session of pickup's, of this user; owns fd. */
void server_take(int fd, uint32_t uid);
/* The sessions of who has logged in as this user end, and of who is about to have. */
void server_end_user(struct slice user);
bool listener_normalizes(const struct listener *l);
void server_forget(struct session *s); /* the session ends */
bool server_opened(void);
bool server_draining(void);
void server_check_drained(void);
void server_check_drained_later(void); /* when this turn's replies have been sent */

/* rates.c */
enum client_event { CLIENT_CONNECTION, CLIENT_MESSAGE, CLIENT_RECIPIENT };
void rates_start(void);
/* Counts one more in the minute under way; false: that is over the limit of the settings. */
bool client_count(const struct client *c, enum client_event event);

/* session.c */
void sessions_start(void);
struct session *session_open(int fd, struct listener *l, const struct listener_kind *kind,
			     struct client *c, const char *address);
/* Makes it a session of the machine's user; before it is greeted. */
void session_set_user(struct session *s, uint32_t uid);
/* Could it end now without loss to the client? */
bool session_idle(const struct session *s);
/* Asks for the verdict on the connection, then greets. */
void session_greet(struct session *s);
/* Replies; a code of 5xx counts as an error of the client; 421 and too many errors end the session.
 */
void session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with a text that is ready: what each message hears goes without printf. */
void session_say(struct session *s, unsigned code, const char *enhanced, struct slice text);
void session_refuse(struct session *s, const struct refusal *why);
/* The connection ends after what was said; nothing more is read. s stays valid until this turn of
 * the loop is over. how: for the log, a constant; the first one holds. */
void session_close(struct session *s, const char *how);
/* A pause (verdict, disk) is over: go on with what the client has sent meanwhile. */
void session_resume(struct session *s);
/* Is the client one of ours by the settings of now? */
bool session_trusted(struct session *s);
/* No transaction, and no chunks of one. */
void session_reset(struct session *s);

/* command.c: one line off the input; false: more octets are needed. */
bool command_take(struct session *s);

/* session_log.c */
void session_log_begin(const struct session *s);
void session_log_end(const struct session *s, const char *how);
void session_log_refusal(const struct session *s, const char *step, unsigned code,
			 const char *enhanced, struct slice text, struct slice recipient);
void session_log_accepted(const struct session *s);
void session_log_secured(const struct session *s);
/* why: the handshake failed. */
void session_log_unsecured(const struct session *s, const char *why);
void session_log_login(const struct session *s);
/* result: denied, banned, trouble, malformed. why: in our words, for the log alone. user: as it was
 * said; may be empty. */
void session_log_login_failed(const struct session *s, const char *mechanism, const char *result,
			      struct slice why, struct slice user);

/* handshake.c */
/* TLS as soon as all that was said has left; what the client has sent before is thrown away. The
 * session is in PHASE_SECURING when this is called. */
void handshake_begin(struct session *s);
/* The stream is secured. */
void handshake_done(struct session *s);
/* Can this client have STARTTLS now? */
bool handshake_offered(const struct session *s);

/* login.c */
/* Begins an exchange; initial empty: there is no initial response ("=" is an empty one). */
void login_begin(struct session *s, enum sasl_mechanism mechanism, struct slice initial);
void login_line(struct session *s, struct slice line);
/* A line that can't be one of it; the exchange is over. */
void login_broken(struct session *s, const struct refusal *why);
bool login_waits(const struct session *s); /* for accounts */
/* SCRAM: who has proven that he knows the password, and has still to say that he heard so; NULL:
 * nobody. */
const char *login_proven(const struct session *s);
void login_end(struct session *s);

/* transaction.c */
struct transaction *transaction_new(struct session *s, uint64_t id, struct slice sender);
void transaction_free(struct transaction **t);
/* key gets RECIPIENT_KEY_MAX + 1 octets, to which the recipient points. */
struct recipient recipient_make(struct slice address, unsigned notify, struct slice orcpt,
				char *key);
struct slice recipient_address(const struct recipient *r);
struct slice recipient_orcpt(const struct recipient *r);
/* False: no room for it within the limits of a transaction, of all of them, or of a record. */
bool transaction_add(struct transaction *t, const struct recipient *r);
bool transaction_has(const struct transaction *t, const struct recipient *r);
/* The head: counted, since every session has one. False: too much in it, or in all of them. */
bool transaction_head_add(struct transaction *t, struct slice octets);
void transaction_head_free(struct transaction *t);

/* verb_X.c: argument is what followed the verb. */
void verb_hello(struct session *s, struct slice argument, bool extended);
void verb_starttls(struct session *s, struct slice argument);
void verb_auth(struct session *s, struct slice argument);
void verb_mail(struct session *s, struct slice argument);
void verb_rcpt(struct session *s, struct slice argument);
void verb_data(struct session *s, struct slice argument);
void verb_bdat(struct session *s, struct slice argument);
/* What is there of the chunk, off the stream's input. */
void verb_bdat_input(struct session *s);
void verb_rset(struct session *s, struct slice argument);
void verb_noop(struct session *s, struct slice argument);
void verb_vrfy(struct session *s, struct slice argument);
void verb_help(struct session *s, struct slice argument);
void verb_quit(struct session *s, struct slice argument);

/* receive.c */
void receive_begin(struct session *s);
/* What is there of DATA's content, off the stream's input. */
void receive_data_input(struct session *s);
/* A run of content; total: octets so far, with it. */
void receive_octets(struct transaction *t, uint64_t total, struct slice run);
/* The content is not kept; the first reason is the one that is told. */
void receive_spoil(struct transaction *t, const struct refusal *why);
extern const struct refusal receive_too_large;
/* The content is complete, and seen tells what it is: judges it and hands it on. The transaction is
 * over when this returns, or later. */
void receive_ended(struct session *s, const struct content_flags *seen);

/* enqueue.c: the end of a transaction, whatever comes of it (S6). */
void enqueue_message(struct session *s);
void enqueue_refuse(struct session *s, const struct refusal *why);
void enqueue_finish(struct session *s);

/* usage.c: done() is called once, at once or later; never after usage_cancel(). hold NULL: it can't
 * be known now; empty: it counts, and goes; else why it is to be held. */
typedef void usage_done(struct session *s, const struct usage_verdict *v);
void usage_count(struct session *s, usage_done *done);
void usage_cancel(struct session *s);
extern const struct route usage_routes[];
void usage_up(struct channel *c, unsigned instance);
void usage_down(struct channel *c);
void usage_warm(void);

/* alarm.c: of the message under way, once a user and day. */
void alarm_over_limit(const struct session *s, struct slice why);

/* pickup.c */
void pickup_go_on(void); /* sessions that have waited for the server to open, or it will not */
extern const struct route pickup_routes[];
void pickup_up(struct channel *c, unsigned instance);
void pickup_down(struct channel *c);

/* verdict.c: done() is called once, at once or later; never after the session has ended. */
typedef void verdict_done(struct session *s, const struct router_verdict *v);
void verdict_ask(struct session *s, enum verdict_step step, struct slice recipient,
		 verdict_done *done);
void verdict_cancel(struct session *s);
extern const struct route verdict_routes[];
void verdict_up(struct channel *c, unsigned instance);
void verdict_down(struct channel *c);
void verdict_warm(void);

/* names.c: asks for the client's name; s->name is there when it has come. */
void names_ask(struct session *s);
void names_cancel(struct session *s);
extern const struct route names_routes[];
void names_up(struct channel *c, unsigned instance);
void names_down(struct channel *c);
void names_warm(void);

/* queue.c */
extern const struct route queue_routes[];
void queue_up(struct channel *c, unsigned instance);
void queue_down(struct channel *c);
void queue_start(void);
struct writer *queue_writer(void);
/* May a message begin? Else *why says what to reply. */
bool queue_ready(struct refusal *why);

#endif
