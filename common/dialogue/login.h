/*
 * login: what submission, pop3d and control ask of accounts about somebody who says who he is.
 *
 * Whoever talks with the stranger reads what he says (common/sasl) and asks typed questions, so
 * that no parser of strangers' octets runs where the passwords are. A question is answered with one
 * LOGIN_DONE, or (SCRAM) first with a LOGIN_SALT; a refusal comes late, as long as accounts thinks
 * fit. A session asks one thing at a time.
 */
#ifndef COMMON_DIALOGUE_LOGIN_H
#define COMMON_DIALOGUE_LOGIN_H

#include "common/wire/dialogue.h"

enum {
	LOGIN_USER_MAX = 320,	   /* octets of a name as it was said, and of an address */
	LOGIN_PASSWORD_MAX = 1024, /* octets */
	LOGIN_CLIENT_MAX = 64,
	LOGIN_SALT_MAX = 64,
	LOGIN_AUTH_MESSAGE_MAX = 4096, /* RFC 5802 3: AuthMessage */
	LOGIN_TEXT_MAX = 400,
	LOGIN_TICKET_SIZE = 16,
};

/* accounts -> submission, pop3d: what may be offered now, as soon as the channel is up and at each
 * change. */
enum login_mechanism {
	LOGIN_PLAIN = 1 << 0,	   /* PLAIN (RFC 4616); with it USER and PASS: a password is sent */
	LOGIN_SCRAM = 1 << 1,	   /* SCRAM-SHA-256 (RFC 7677, 5802) */
	LOGIN_LOGIN = 1 << 2,	   /* LOGIN, which sends the password too */
	LOGIN_SCRAM_PLUS = 1 << 3, /* SCRAM-SHA-256-PLUS, where the channel can be bound */
};
#define LOGIN_MECHANISMS_FIELDS(F, S) F(S, u32, mechanisms, 15, "enum login_mechanism, or-ed")
RECORD_DECLARE(login_mechanisms, LOGIN_MECHANISMS_FIELDS)

/* Does this password hold? user: as it was said; a bare name means NAME@origin. service: smtp,
 * pop3, or test (an administrator's: not delayed, not counted, no ticket). */
#define LOGIN_CHECK_FIELDS(F, S)                                                     \
	F(S, u64, request, 0, "repeated in the answer")                              \
	F(S, string, service, 16, "smtp, pop3, test")                                \
	F(S, string, mechanism, 32, "PLAIN, LOGIN, USER; for the log")               \
	F(S, string, client, LOGIN_CLIENT_MAX, "numeric address; empty: not known")  \
	F(S, string, user, LOGIN_USER_MAX, "authentication identity, UTF-8, no NUL") \
	F(S, secret, password, LOGIN_PASSWORD_MAX, "UTF-8, no NUL")
RECORD_DECLARE(login_check, LOGIN_CHECK_FIELDS)

/* SCRAM: what the first message of the server says of this user. One who is not there, or has no
 * key, gets a salt too, the same each time: nobody hears who exists. */
#define LOGIN_SCRAM_FIELDS(F, S)                                        \
	F(S, u64, request, 0, "repeated in the answers")                \
	F(S, string, service, 16, "smtp, pop3, test")                   \
	F(S, string, client, LOGIN_CLIENT_MAX, "numeric address")       \
	F(S, string, user, LOGIN_USER_MAX, "as it was said, unescaped") \
	F(S, string, mechanism, 32, "SCRAM-SHA-256 or -PLUS; for the log")
RECORD_DECLARE(login_scram, LOGIN_SCRAM_FIELDS)
#define LOGIN_SALT_FIELDS(F, S)                     \
	F(S, u64, request, 0, "of the LOGIN_SCRAM") \
	F(S, bytes, salt, LOGIN_SALT_MAX, "octets") \
	F(S, u32, iterations, 0, "of PBKDF2, >= 4096")
RECORD_DECLARE(login_salt, LOGIN_SALT_FIELDS)
/* The proof of the client's last message. accounts knows by `request` which user that is; what it
 * has no LOGIN_SCRAM of is denied. */
#define LOGIN_PROOF_FIELDS(F, S)                                                                \
	F(S, u64, request, 0, "of the LOGIN_SCRAM")                                             \
	F(S, bytes, auth_message, LOGIN_AUTH_MESSAGE_MAX, "AuthMessage (RFC 5802 3), complete") \
	F(S, bytes, proof, 32, "ClientProof, 32 octets")
RECORD_DECLARE(login_proof, LOGIN_PROOF_FIELDS)
/* The session ended before its answer. */
#define LOGIN_FORGET_FIELDS(F, S) F(S, u64, request, 0, "of the question")
RECORD_DECLARE(login_forget, LOGIN_FORGET_FIELDS)

enum login_result {
	LOGIN_HOLDS = 1,
	LOGIN_DENIED,  /* wrong, unknown, blocked: the stranger is not told which (535 5.7.8) */
	LOGIN_BANNED,  /* too many failures of this client or account (454 4.7.0, then closed) */
	LOGIN_TROUBLE, /* not known now (454 4.7.0) */
};
#define LOGIN_DONE_FIELDS(F, S)                                                    \
	F(S, u64, request, 0, "of the question")                                   \
	F(S, u32, result, LOGIN_TROUBLE, "enum login_result")                      \
	F(S, string, user, LOGIN_USER_MAX, "holds: the canonical address, folded") \
	F(S, string, text, LOGIN_TEXT_MAX, "else: why, for the log alone")         \
	F(S, bytes, signature, 32, "SCRAM, holds: ServerSignature")                \
	F(S, bytes, ticket, LOGIN_TICKET_SIZE,                                     \
	  "pop3, holds: opens the maildrop (dialogue/maildrop.h)")
RECORD_DECLARE(login_done, LOGIN_DONE_FIELDS)

/* accounts -> submission, pop3d: sessions of this user end now. */
#define LOGIN_REVOKED_FIELDS(F, S) F(S, string, user, LOGIN_USER_MAX, "canonical address")
RECORD_DECLARE(login_revoked, LOGIN_REVOKED_FIELDS)

#define LOGIN_MESSAGES(M)                        \
	M(LOGIN_MECHANISMS, 1, login_mechanisms) \
	M(LOGIN_CHECK, 2, login_check)           \
	M(LOGIN_SCRAM_ASK, 3, login_scram)       \
	M(LOGIN_SALT, 4, login_salt)             \
	M(LOGIN_PROOF, 5, login_proof)           \
	M(LOGIN_FORGET, 6, login_forget)         \
	M(LOGIN_DONE, 7, login_done)             \
	M(LOGIN_REVOKED, 8, login_revoked)
DIALOGUE_NUMBERS(LOGIN_MESSAGES)
extern const struct dialogue login_dialogue;

#endif
