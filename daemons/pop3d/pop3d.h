/*
 * pop3d: what the files of this room share: the session, and who calls whom.
 *
 *	settings.c     what the configuration says
 *	server.c       listeners, accepting, drain
 *	session.c      a connection's life: octets -> lines -> verbs; replies
 *	session_log.c  what is logged of it
 *	verbs.c        verbs that need nobody else
 *	login.c        USER, PASS, AUTH, and what accounts says
 *	box.c          the maildrop: its child, the list, parts, removal at QUIT
 *	send.c         replies of many lines, as fast as the client reads
 */
#ifndef DAEMONS_POP3D_POP3D_H
#define DAEMONS_POP3D_POP3D_H

#include <bsd/sys/queue.h>

#include "common/base/log.h"
#include "common/config/settings.h"
#include "common/dialogue/login.h"
#include "common/dialogue/maildrop.h"
#include "common/net/clients.h"
#include "common/net/sockaddr.h"
#include "common/net/tls_server.h"
#include "common/os/loop.h"
#include "common/pop3/command.h"
#include "common/pop3/text.h"
#include "common/sasl/sasl.h"
#include "common/service/service.h"
#include "common/smtp/line.h"

enum {
	SESSION_INPUT_MAX = 16 * 1024, /* the longest line is one of SASL */
	SESSION_OUTPUT_MAX = 128 * 1024,
	SESSION_LINE_MAX = 2048, /* octets with CRLF; RFC 2449 4 asks for 255 */
	SESSION_REPLY_MAX = 512, /* RFC 2449 4 */
	SEND_CHUNK = 16 * 1024,	 /* octets of content that are asked for, or made, at once */
	BOX_MEMORY_MAX = 256 * 1024 * 1024, /* lists of all sessions */
};
#define SESSION_IDLE_LEAST_US UINT64_C(600000000) /* RFC 1939 3: ten minutes at least */
#define SESSION_HANDSHAKE_US  UINT64_C(60000000)  /* that TLS may take, at most */
#define SESSION_OPEN_US	      UINT64_C(120000000) /* that a maildrop may take to be listed */
#define SESSION_PART_US	      UINT64_C(60000000)  /* that it may take to give a part */
#define SESSION_UPDATE_US     UINT64_C(300000000) /* that it may take to remove messages */
#define SESSION_RELEASE_US    UINT64_C(10000000)  /* that it may take to let the maildrop go */

struct listener;

enum phase {
	PHASE_TLS,	     /* handshake */
	PHASE_AUTHORIZATION, /* RFC 1939 4 */
	PHASE_SASL,	     /* AUTH: the client's next line answers a challenge */
	PHASE_LOGIN,	     /* accounts is asked */
	PHASE_OPENING,	     /* the maildrop is locked and listed */
	PHASE_TRANSACTION,   /* RFC 1939 5 */
	PHASE_SENDING,	     /* a reply of many lines is on its way */
	PHASE_UPDATE,	     /* RFC 1939 6: what is deleted is being removed, and the lock */
};

/* A message of the maildrop. */
struct entry {
	uint64_t octets;
	uint32_t uid; /* where its unique id lies in box.uids */
	uint8_t uid_len;
	bool deleted; /* DELE has said so */
};

/* The maildrop as pop3d knows it; all that it holds is counted in BOX_MEMORY_MAX. */
struct box {
	uint64_t opening;	 /* question to maildrop under way; 0: none */
	struct channel *channel; /* to the child; NULL: none */
	struct entry *entries;
	size_t count, size;
	char *uids;
	size_t uids_len, uids_size;
	size_t memory;
	uint64_t octets; /* of those that are not deleted */
	size_t deleted;
};

/* A reply of many lines. */
struct sending {
	enum pop3_verb verb; /* LIST, UIDL, RETR, TOP; POP3_UNKNOWN: there is none */
	size_t next;	     /* LIST, UIDL: index of the next message */
	uint32_t number;     /* RETR, TOP */
	uint64_t from;	     /* octet of the next part */
	bool begun;	     /* +OK was said */
	bool asked;	     /* a part is on its way */
	bool last;	     /* it was the last one */
	struct pop3_text text;
};

/* What accounts has said. */
struct granted {
	char user[LOGIN_USER_MAX + 1];
	char ticket[LOGIN_TICKET_SIZE];
};

struct session {
	TAILQ_ENTRY(session) link;	   /* of all sessions */
	TAILQ_ENTRY(session) closing_link; /* of those that end at this turn's end */
	struct stream *stream;
	struct listener *listener;
	struct client *client;
	struct line_reader lines;
	enum phase phase;
	bool secured, closing, cut, quits;
	bool discard;	       /* STLS: what is unread was said before TLS (S8) */
	char *name;	       /* USER has said; NULL: none */
	char *user;	       /* canonical address of who has logged in; NULL: nobody */
	const char *mechanism; /* for the log; a constant */
	struct sasl_session *sasl;
	struct granted *granted; /* SCRAM: the login holds, and the client is told; or NULL */
	uint64_t login;		 /* question to accounts under way; 0: none */
	bool login_lost;	 /* it ended while it was the client's turn: he hears of it then */
	struct box box;
	struct sending sending;
	struct loop_timer timer; /* an answer, or the client, takes too long */
	uint32_t errors, commands, retrieved, removed;
	uint64_t sent;		   /* octets of messages */
	const char *after;	   /* for the log: the last verb */
	const char *how;	   /* it ended; a constant; NULL: it has not */
	char address[NET_IP_TEXT]; /* of the client */
};

/* settings.c */
struct pop3d_settings {
	char hostname[HOST_NAME_MAX_OCTETS + 1];
	struct settings_limits limits;
};
const struct pop3d_settings *pop3d_settings(void);
void pop3d_settings_begin(void);
void pop3d_setting(const struct record *record, const void *value);
void pop3d_settings_end(void);

/* server.c */
void server_descriptor(const struct service_descriptor *d);
void server_warm(void);
void server_start(void);
void server_drain(void);
const char *listener_kind(const struct listener *l); /* "pop3", "pop3s" */
void server_remember(struct session *s);	     /* the session begins */
void server_forget(struct session *s);		     /* the session ends */
bool server_draining(void);
void server_revoke(struct slice user); /* sessions of this user end */

/* session.c */
void sessions_start(void);
struct session *session_open(int fd, struct listener *l, struct client *c, const char *address);
/* Speaks TLS first when the listener does, then greets. */
void session_begin(struct session *s, bool tls);
/* One line: "+OK text". */
void session_ok(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "-ERR [CODE] text"; code may be NULL (RFC 2449 8, RFC 3206). Too many of them end the session. */
void session_err(struct session *s, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Octets that are a reply as they are. */
void session_say(struct session *s, struct slice octets);
/* The connection ends after what was said; nothing more is read. how: for the log, a constant; the
 * first one holds. */
void session_close(struct session *s, const char *how);
/* Ends it within a reply: the connection goes at once, so that half a message is not taken for
 * one. */
void session_cut(struct session *s, const char *how);
/* Nothing is read until session_resume(); what takes longer than `us` ends the session. */
void session_wait(struct session *s, enum phase phase, uint64_t us);
void session_resume(struct session *s, enum phase phase);

/* session_log.c */
void session_log_begin(const struct session *s);
void session_log_end(const struct session *s);
void session_log_secured(const struct session *s);
void session_log_unsecured(const struct session *s, const char *why);
void session_log_login(const struct session *s);
void session_log_login_failed(const struct session *s, const char *result, struct slice text,
			      struct slice user);
void session_log_box(const struct session *s, const char *event, struct slice text);
void session_log_refused(const struct session *s, const char *why);

/* verbs.c */
void verb_capa(struct session *s, const struct pop3_command *c);
void verb_stls(struct session *s, const struct pop3_command *c);
void verb_utf8(struct session *s, const struct pop3_command *c);
void verb_stat(struct session *s, const struct pop3_command *c);
void verb_dele(struct session *s, const struct pop3_command *c);
void verb_rset(struct session *s, const struct pop3_command *c);
void verb_noop(struct session *s, const struct pop3_command *c);
void verb_quit(struct session *s, const struct pop3_command *c);

/* login.c */
unsigned login_mechanisms(const struct session *s); /* enum sasl_mechanism; 0: none */
bool login_by_password(const struct session *s);    /* USER and PASS */
void verb_user(struct session *s, const struct pop3_command *c);
void verb_pass(struct session *s, const struct pop3_command *c);
void verb_auth(struct session *s, const struct pop3_command *c);
void login_line(struct session *s, struct slice line); /* PHASE_SASL */
void login_line_bad(struct session *s);		       /* the same, and it is no line */
void login_forget(struct session *s);		       /* the session ends, or begins anew */

/* box.c */
extern const struct route box_routes[]; /* of the link to maildrop */
void box_up(struct channel *c, unsigned instance);
void box_down(struct channel *c);
void box_warm(void);
void box_open(struct session *s, struct slice ticket);
/* Asks for the next part of the message that is being sent. */
void box_read(struct session *s);
/* Removes what is deleted and lets the maildrop go, then says how it went, and ends the session. */
void box_update(struct session *s);
/* The child did not do so; why: for the client, when anything was to be removed. */
void box_update_failed(struct session *s, const char *why);
void box_free(struct box *b);
/* The message, which is not deleted; NULL: an error was said. */
struct entry *box_entry(struct session *s, uint32_t number);
struct slice box_uid(const struct session *s, const struct entry *e);

/* send.c */
void verb_list(struct session *s, const struct pop3_command *c); /* LIST, UIDL */
void verb_retr(struct session *s, const struct pop3_command *c); /* RETR, TOP */
void send_part(struct session *s, const struct maildrop_part *part);
void send_more(struct session *s); /* the client has read */

#endif
