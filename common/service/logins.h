/*
 * logins: what a daemon that meets users (submission, pop3d) asks of accounts about who they say
 * they are; dialogue/login.h. Nothing is asked twice and no password is kept: when accounts ends,
 * so do the questions, with LOGIN_TROUBLE.
 */
#ifndef COMMON_SERVICE_LOGINS_H
#define COMMON_SERVICE_LOGINS_H

#include "common/dialogue/login.h"
#include "common/net/stream.h"
#include "common/sasl/sasl.h"
#include "common/service/service.h"

enum {
	LOGINS_PENDING_MAX = 65536,
	LOGINS_TIMEOUT_US = 120000000, /* of a question; of SCRAM's two, with the client's turn */
};

/* Once, at once or later, and never after logins_forget(). */
typedef void logins_done(void *arg, const struct login_done *done);
/* SCRAM: what the client is told; logins_prove() follows. Not called when done comes first. */
typedef void logins_salted(void *arg, const struct login_salt *salt);

/* enum login_mechanism, or-ed: what accounts offered last; 0: it has not said yet. */
uint32_t logins_offered(void);
/* enum sasl_mechanism, or-ed: what is offered on this stream, which has been secured. */
unsigned logins_mechanisms(const struct stream *s);
/* A session of that mechanism, with a nonce of its own, bound to the stream, which outlives it. */
struct sasl_session *logins_sasl(struct stream *s, enum sasl_mechanism mechanism);
/* The number of the question, for logins_forget(); 0: it was done at once. request is set here. */
uint64_t logins_check(struct login_check *question, logins_done *done, void *arg);
uint64_t logins_scram(struct login_scram *question, logins_salted *salted, logins_done *done,
		      void *arg);
void logins_prove(uint64_t request, struct slice auth_message, struct slice proof);
/* The session has ended; 0 is fine. */
void logins_forget(uint64_t request);

extern const struct route logins_routes[]; /* of the link to accounts */
void logins_up(struct channel *c, unsigned instance);
void logins_down(struct channel *c);
/* revoked: sessions of this user, a canonical address, end now. */
void logins_warm(void (*revoked)(struct slice user));

#endif
