/*
 * login: one attempt to log in, from its question to its answer. It asks one source after the
 * other; each ends with one of four verdicts. What is refused is counted and answered late; nothing
 * blocks meanwhile.
 */
#ifndef DAEMONS_ACCOUNTS_LOGIN_H
#define DAEMONS_ACCOUNTS_LOGIN_H

#include <bsd/sys/queue.h>

#include "common/dialogue/login.h"
#include "common/os/loop.h"
#include "common/password/password.h"
#include "daemons/accounts/ours.h"
#include "daemons/accounts/sources.h"

enum {
	LOGINS_MAX = 4096, /* under way at once, those that wait for their late answer included */
	LOGIN_CLIENT_KEY = 9,
	LOGIN_PROOF_US = 60 * 1000 * 1000, /* in which the proof of a SCRAM exchange must come */
};

enum login_service { LOGIN_SMTP, LOGIN_POP3, LOGIN_TEST };

enum login_state {
	LOGIN_ASKS,   /* a source or a thread is at it */
	LOGIN_SALTED, /* SCRAM: the proof is to come */
	LOGIN_WAITS,  /* refused; the answer is to be late */
};

struct asker;

struct login {
	TAILQ_ENTRY(login) link; /* of its state, the longest first */
	enum login_state state;
	struct asker *asker; /* NULL: nobody waits for it any more */
	uint64_t request;
	uint64_t begun; /* the question, or the proof, came: on the loop's clock */
	enum login_service service;
	char mechanism[32 + 1];
	char client[LOGIN_CLIENT_MAX + 1];
	char client_key[LOGIN_CLIENT_KEY]; /* family and address, IPv6: the /64 */
	size_t client_len, network_len;	   /* of the key; 0: not known */
	bool admitted;		/* has one of the tries of an account that is slowed down */
	struct login_name name; /* empty: not clear who is meant */
	const char *fault;	/* then: why */
	char *password;		/* NULL: SCRAM, or not needed any more */
	size_t password_len;
	bool scram;
	bool has_keys;		/* of somebody who is there */
	struct scram_keys keys; /* made up, when nobody is */
	struct sources *sources;
	size_t source; /* that is asked now */
	bool by_table;
	uint8_t entry[32]; /* by_table: digest of the entry */
	enum login_result result;
	char text[LOGIN_TEXT_MAX + 1]; /* for the log */
	uint8_t signature[SCRAM_KEY_SIZE];
	uint8_t ticket[LOGIN_TICKET_SIZE];
	bool has_ticket;
	struct loop_timer timer;
};

/* A secret of this process, made in warm(): what strangers may not foresee. */
void login_warm(void);

/* A new one; NULL: too many. The caller sets who asks and begins it. */
struct login *login_new(void);
void login_client(struct login *l, struct slice client);
void login_password(struct login *l, struct slice password); /* copied */
void login_begin(struct login *l, struct slice user);
/* SCRAM: the proof has come. */
void login_prove(struct login *l, struct slice auth_message, const uint8_t proof[SCRAM_KEY_SIZE]);
/* Nobody waits for it any more; it may end now or go on in silence, so that it counts. */
void login_forget(struct login *l);

/* Who waits for it, in base/turns: a client that has been right with this account before stands for
 * itself, and so does an IPv4 address; other clients of IPv6, who have /64s as many as they like,
 * for all of their /48. */
struct slice login_turn(const struct login *l, bool *known);

/* What a source says. unknown: it does not know the user, the next one is asked. */
void login_unknown(struct login *l);
/* SCRAM: it knows the user, but no key of his. */
void login_keyless(struct login *l);
void login_holds(struct login *l);
void login_fails(struct login *l, const char *text);
void login_trouble(struct login *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sources. */
void login_ask_table(struct login *l, const struct source *s);

#endif
