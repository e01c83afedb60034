/*
 * sasl: the server's side of PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-256
 * and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). It reads what a client says and what is to be said
 * next; whether a password or a proof holds is asked of accounts by whoever uses it
 * (dialogue/login.h). No I/O, no cryptography: the nonce and the channel's binding are given.
 *
 * A session is one AUTH of SMTP (RFC 4954) or POP3 (RFC 5034):
 * sasl_new, sasl_begin, which says the first step; then by the step:
 *
 *	SASL_CHALLENGE	send sasl_challenge() ("334 " or "+ "), give the next line to sasl_line
 *	SASL_ASK_PASSWORD	LOGIN_CHECK of sasl_user(), sasl_password(), which
 *			sasl_forget_password wipes when it was sent; the answer decides
 *	SASL_ASK_SALT	LOGIN_SCRAM_ASK of sasl_user(); the answer to sasl_salt
 *	SASL_ASK_PROOF	LOGIN_PROOF of sasl_auth_message(), sasl_proof(); when it holds,
 *			the signature to sasl_signature
 *	SASL_HOLDS	all is said (SCRAM; the proof held before)
 *	SASL_FAILED	sasl_fault() says why
 *
 * and sasl_free at the end.
 *
 * One that fails, or is freed, between SASL_ASK_SALT and the end owes accounts a LOGIN_FORGET.
 */
#ifndef COMMON_SASL_SASL_H
#define COMMON_SASL_SASL_H

#include "common/base/buffer.h"
#include "common/base/slice.h"

enum {
	SASL_LINE_MAX = 12288, /* octets of a line, as base64 (RFC 4954 4) */
	SASL_USER_MAX = 320,   /* octets of an identity, as in dialogue/login.h */
	SASL_PASSWORD_MAX = 1024,
	SASL_AUTH_MESSAGE_MAX = 4096, /* all that SCRAM's two sides say */
	SASL_NONCE_MAX = 64,	      /* characters of ours */
	SASL_BINDING_MAX = 64,
	SASL_SALT_MAX = 64,
	SASL_PROOF_SIZE = 32, /* of SHA-256: ClientProof, ServerSignature */
};

/* Bits, for what is offered. */
enum sasl_mechanism {
	SASL_PLAIN = 1,
	SASL_LOGIN = 2,
	SASL_SCRAM = 4,
	SASL_SCRAM_PLUS = 8,
};
enum { SASL_SCRAM_BOTH = SASL_SCRAM | SASL_SCRAM_PLUS };

/* The one of that name, in any case; 0: none of these. Its name, in capitals. */
enum sasl_mechanism sasl_named(struct slice name);
const char *sasl_name(enum sasl_mechanism mechanism);
/* Appends the names of those offered, separated by blanks, the best first. */
bool sasl_offer(unsigned mechanisms, struct buffer *out);

struct sasl_terms {
	enum sasl_mechanism mechanism; /* what the client chose; one that was offered */
	bool plus_offered;	       /* SASL_SCRAM_PLUS was offered in this session */
	/* SCRAM: letters, digits, + and /, of 18 octets of randomness or more; copied. */
	struct slice nonce;
	/* SCRAM_PLUS: the channel's binding of that type (RFC 9266, RFC 5929), at most
	 * SASL_BINDING_MAX octets; how many, 0: there is none. Called by sasl_begin and sasl_line
	 * alone.
	 */
	size_t (*binding)(void *arg, const char *type, unsigned char *dst);
	void *arg;
};

enum sasl_step {
	SASL_CHALLENGE = 1,
	SASL_ASK_PASSWORD,
	SASL_ASK_SALT,
	SASL_ASK_PROOF,
	SASL_HOLDS,
	SASL_FAILED,
};

enum sasl_fault {
	SASL_FINE,
	SASL_CANCELLED, /* the client said `*`: 501 5.7.0 (RFC 4954 4) */
	SASL_TOO_LONG,	/* 500 5.5.6 */
	SASL_NO_BASE64, /* 501 5.5.2 */
	SASL_MALFORMED, /* what the mechanism does not know, or over a limit: 501 5.5.2 */
	SASL_BAD_NAME,	/* NUL, control characters or no UTF-8 in an identity (S10): 501 5.5.2 */
	SASL_DENIED,	/* for another than oneself, wrong nonce or channel: 535 5.7.8 */
	SASL_TROUBLE,	/* the answer that was given is not usable: 454 4.7.0 */
};

struct sasl_session;

/* Takes about 8 KiB until it is freed. */
struct sasl_session *sasl_new(const struct sasl_terms *terms);
void sasl_free(struct sasl_session **s); /* wipes */

/* The first step. given: there is an initial response, text, as base64 (RFC 4954 4; `=` is an empty
 * one). */
enum sasl_step sasl_begin(struct sasl_session *s, bool given, struct slice text);
/* The client's line after a challenge, without its line end. */
enum sasl_step sasl_line(struct sasl_session *s, struct slice text);
/* Answers to SASL_ASK_SALT, to SASL_ASK_PROOF (32 octets). */
enum sasl_step sasl_salt(struct sasl_session *s, struct slice salt, uint32_t iterations);
enum sasl_step sasl_signature(struct sasl_session *s, struct slice signature);

/* All live as long as the session, but for the challenge: until the next step. */
struct slice sasl_challenge(const struct sasl_session *s); /* base64; may be empty */
/* The authentication identity as said, unescaped; empty until it is known, or when it was refused.
 */
struct slice sasl_user(const struct sasl_session *s);
struct slice sasl_password(const struct sasl_session *s); /* not empty, no NUL, UTF-8 */
void sasl_forget_password(struct sasl_session *s);
struct slice sasl_auth_message(const struct sasl_session *s);
struct slice sasl_proof(const struct sasl_session *s);
enum sasl_mechanism sasl_mechanism(const struct sasl_session *s);
enum sasl_fault sasl_fault(const struct sasl_session *s);
const char *sasl_fault_text(const struct sasl_session *s); /* for the log: fixed words of ours */

#endif
