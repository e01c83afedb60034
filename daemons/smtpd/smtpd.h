/*
 * smtpd: what the files of this room share: the session, its transaction, and who calls whom.
 *
 *	server.c     listeners, counts of connections, drain
 *	session.c    a connection's life: octets -> command lines -> verbs
 *	verb_X.c     one SMTP verb each
 *	receive.c    content: dots, header and body, to the draft
 *	verdict.c    asks at each step whether to go on
 *	queue.c      the writer of the queue, and its talk with the queue manager
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
#include "common/dialogue/router.h"
#include "common/mail/address.h"
#include "common/mail/header.h"
#include "common/net/stream.h"
#include "common/service/service.h"
#include "common/smtp/command.h"
#include "common/smtp/dot.h"
#include "common/smtp/line.h"
#include "queue/store/writer.h"

enum {
	SESSION_OUTPUT_MAX = 64 * 1024,		  /* replies a client has not read */
	TRANSACTION_ARENA_FIXED = 4096,		  /* octets, and a recipient takes at most ... */
	TRANSACTION_ARENA_RECIPIENT = 640,	  /* ... so many more */
	RECIPIENT_MEMORY = 64,			  /* octets that one takes besides its address */
	RECIPIENTS_MEMORY_MAX = 64 * 1024 * 1024, /* recipients under way, of all sessions */
	HEADS_MEMORY_MAX = 64 * 1024 * 1024,	  /* header blocks under way, of all sessions */
	COMMAND_JUNK_MAX = 100,		/* NOOP RSET VRFY HELP EHLO without mail between them */
	HOPS_MAX = 100,			/* Received fields; RFC 5321 6.3 */
	DATA_RATE_WINDOW_US = 60000000, /* over which limits { min-rate } is looked at */
	VERDICT_TIMEOUT_US = 10000000,
};

struct listener;
struct client;
struct question;

enum phase {
	PHASE_GREETING, /* waits for the verdict on the connection */
	PHASE_COMMAND,
	PHASE_DATA,   /* content arrives */
	PHASE_COMMIT, /* content is complete; waits for the disk */
};

/* What MAIL began and DATA ends (RFC 5321 3.3). */
struct transaction {
	struct session *session; /* NULL: the client left while the commit was under way */
	struct arena arena;
	uint64_t id;
	struct slice sender; /* without < >; empty: null reverse-path */
	struct slice *recipients;
	uint32_t recipient_count, recipient_size;
	size_t recipient_octets; /* memory of all, as it is counted */
	struct map *seen;	 /* recipients; NULL below two */
	struct slice asked;	 /* recipient on which a verdict is awaited */
	char asked_text[ADDRESS_SIZE];
	bool discard; /* a verdict said so: accept, deliver nothing */
	/* content */
	struct dot_reader dot;
	struct header_scan scan;
	struct buffer head; /* content until the header's end is found, then the header block */
	struct draft *draft;
	bool last_cr;		/* normalising: the octet before was CR */
	uint64_t stored;	/* octets of header and body as they are kept */
	struct refusal refusal; /* why the content is not kept; code 0: it is */
};

struct session {
	TAILQ_ENTRY(session) link;	   /* of all sessions */
	TAILQ_ENTRY(session) closing_link; /* of those that end at this turn's end */
	struct stream *stream;
	struct listener *listener;
	struct client *client;
	struct line_reader lines;
	struct transaction *transaction;
	enum phase phase;
	bool esmtp, trusted, closing;
	char *helo; /* NULL: not said yet */
	uint32_t errors, unknown, junk;
	uint32_t commands, messages; /* for the log */
	uint64_t verdict;	     /* call under way; 0: none */
	struct question *question;   /* of that call */
	char address[64];	     /* of the client, numeric */
};

/* server.c */
struct smtpd_settings {
	char hostname[HOST_NAME_MAX_OCTETS + 1];
	struct settings_limits limits;
};
const struct smtpd_settings *smtpd_settings(void);
void server_settings_begin(void);
void server_setting(const struct record *record, const void *value);
void server_settings_end(void);
void server_descriptor(const struct service_descriptor *d);
void server_warm(void);
void server_start(void);
void server_queue_ready(void); /* there is a segment to write to: connections are welcome */
void server_drain(void);
bool listener_normalizes(const struct listener *l);
void server_forget(struct session *s); /* the session ends */
bool server_draining(void);
void server_check_drained(void);

/* session.c */
struct session *session_open(int fd, struct listener *l, struct client *c, const char *address,
			     bool trusted);
/* Asks for the verdict on the connection, then greets. */
void session_greet(struct session *s);
/* Replies; a code of 5xx counts as an error of the client; 421 and too many errors end the session.
 */
void session_reply(struct session *s, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void session_refuse(struct session *s, const struct refusal *why);
/* The connection ends after what was said; nothing more is read. s stays valid until this turn of
 * the loop is over. */
void session_close(struct session *s);
/* A pause (verdict, disk) is over: go on with what the client has sent meanwhile. */
void session_resume(struct session *s);
void session_log_refusal(struct session *s, const char *step, unsigned code, const char *enhanced,
			 struct slice text, struct slice recipient);

/* transaction.c */
struct transaction *transaction_new(struct session *s, uint64_t id, struct slice sender);
void transaction_free(struct transaction **t);
/* False: no memory for it within the transaction's limit, or that of all of them. */
bool transaction_add(struct transaction *t, struct slice recipient);
/* The head: counted, since every session has one. False: too much in it, or in all of them. */
bool transaction_head_add(struct transaction *t, struct slice octets);
void transaction_head_free(struct transaction *t);
bool transaction_has(const struct transaction *t, struct slice recipient);

/* verb_X.c: argument is what followed the verb. */
void verb_hello(struct session *s, struct slice argument, bool extended);
void verb_mail(struct session *s, struct slice argument);
void verb_rcpt(struct session *s, struct slice argument);
void verb_data(struct session *s, struct slice argument);
void verb_rset(struct session *s, struct slice argument);
void verb_noop(struct session *s, struct slice argument);
void verb_vrfy(struct session *s, struct slice argument);
void verb_help(struct session *s, struct slice argument);
void verb_quit(struct session *s, struct slice argument);

/* receive.c */
void receive_begin(struct session *s);
/* Takes what is there of the content off the stream's input. */
void receive_input(struct session *s);

/* verdict.c: done() is called once, at once or later; never after the session has ended. */
typedef void verdict_done(struct session *s, const struct router_verdict *v);
void verdict_ask(struct session *s, enum verdict_step step, struct slice recipient,
		 verdict_done *done);
void verdict_cancel(struct session *s);
extern const struct route verdict_routes[];
void verdict_up(struct channel *c, unsigned instance);
void verdict_down(struct channel *c);
void verdict_warm(void);

/* queue.c */
extern const struct route queue_routes[];
void queue_up(struct channel *c, unsigned instance);
void queue_down(struct channel *c);
void queue_start(void);
struct writer *queue_writer(void);
/* May a message begin? Else *why says what to reply. */
bool queue_ready(struct refusal *why);

#endif
