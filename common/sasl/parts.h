/*
 * parts: what the mechanisms share. A mechanism is a row of functions; sasl.c decodes lines for it.
 */
#ifndef COMMON_SASL_PARTS_H
#define COMMON_SASL_PARTS_H

#include "common/sasl/sasl.h"

enum {
	SASL_GS2_MAX = 2048, /* octets of a client's first message */
};

/* What the session waits for. */
enum sasl_wait {
	WAIT_FIRST,  /* the first response */
	WAIT_SECOND, /* LOGIN: the password; SCRAM: client-final-message */
	WAIT_SALT,
	WAIT_SIGNATURE,
	WAIT_EMPTY, /* the response to the last challenge, which says nothing */
	WAIT_NOTHING,
};

struct sasl_session {
	const struct sasl_kind *kind;
	enum sasl_wait wait;
	enum sasl_fault fault;
	const char *why;
	bool plus_offered;
	size_t (*binding)(void *arg, const char *type, unsigned char *dst);
	void *arg;
	struct buffer challenge; /* base64 */
	size_t user_len, password_len;
	char user[SASL_USER_MAX];
	char password[SASL_PASSWORD_MAX];
	/* SCRAM */
	size_t nonce_len, bound_len, first_len, message_len, nonces_at, nonces_len;
	char nonce[SASL_NONCE_MAX];
	char bound[SASL_GS2_MAX + SASL_BINDING_MAX]; /* gs2-header and binding: what c= says */
	/* AuthMessage as it grows: client-first-message-bare, server-first-message (from first_len
	 * on), client-final-message-without-proof. Both nonces lie at nonces_at. */
	char message[SASL_AUTH_MESSAGE_MAX];
	char proof[SASL_PROOF_SIZE];
};

struct sasl_kind {
	enum sasl_mechanism mechanism;
	const char *name;
	struct slice greeting; /* the challenge to one who came without initial response */
	/* The client's response in WAIT_FIRST and WAIT_SECOND, decoded. */
	enum sasl_step (*first)(struct sasl_session *s, struct slice text);
	enum sasl_step (*second)(struct sasl_session *s, struct slice text);
};

enum sasl_step sasl_fail(struct sasl_session *s, enum sasl_fault fault, const char *why);
/* Text to be sent next, answered in that state. */
enum sasl_step sasl_challenge_is(struct sasl_session *s, struct slice text, enum sasl_wait wait);
/* Keeps the authentication identity; false: it was refused, the session has failed. */
bool sasl_take_user(struct sasl_session *s, struct slice name);
bool sasl_take_password(struct sasl_session *s, struct slice password);
/* Is that, an authorization identity, the user or empty? False: the session has failed. */
bool sasl_is_self(struct sasl_session *s, struct slice authorization);

/* plain.c */
enum sasl_step plain_first(struct sasl_session *s, struct slice text);
enum sasl_step login_first(struct sasl_session *s, struct slice text);
enum sasl_step login_second(struct sasl_session *s, struct slice text);
/* scram_first.c, scram_final.c */
enum sasl_step scram_first(struct sasl_session *s, struct slice text);
enum sasl_step scram_final(struct sasl_session *s, struct slice text);
/* Takes the next attribute, X=VALUE, off *rest. False: *rest is empty, or has none at its front. */
bool scram_attribute(struct slice *rest, char *name, struct slice *value);

#endif
