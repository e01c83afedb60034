/*
 * keys: what smtpd, submission and pop3d ask of the only process that can read private keys.
 *
 * A key is named by the SHA-256 of its SubjectPublicKeyInfo (DER), which whoever has the
 * certificate can compute: so a certificate and its key may change one after the other. keys signs
 * no digests: it gets the text that TLS wants signed, checks that it is one, and hashes it itself.
 */
#ifndef COMMON_DIALOGUE_KEYS_H
#define COMMON_DIALOGUE_KEYS_H

#include "common/wire/dialogue.h"

enum {
	KEYS_NAME_SIZE = 32,
	KEYS_TEXT_MAX = 512,	   /* octets to be signed: RFC 8446 4.4.3, RFC 5246 7.4.3 */
	KEYS_SIGNATURE_MAX = 1024, /* octets: RSA of 8192 bits */
	KEYS_TICKET_NAME = 16,
	KEYS_TICKET_SECRET = 64, /* 32 for AES-256, 32 for HMAC-SHA-256 */
	KEYS_PATH_MAX = 4096,
	KEYS_NAMES_MAX = 1024,
};

/* Is this key there? keys answers at once, and tells all who speak TLS when one comes or goes. */
#define KEYS_ASK_FIELDS(F, S) F(S, bytes, name, KEYS_NAME_SIZE, "of the key")
RECORD_DECLARE(keys_ask, KEYS_ASK_FIELDS)
#define KEYS_PRESENT_FIELDS(F, S)                       \
	F(S, bytes, name, KEYS_NAME_SIZE, "of the key") \
	F(S, bool, present, 0, "it can sign")
RECORD_DECLARE(keys_present, KEYS_PRESENT_FIELDS)

enum keys_purpose {
	KEYS_TLS13_SERVER = 1, /* CertificateVerify: 64 blanks, "TLS 1.3, server CertificateVerify",
				* NUL, transcript hash (RFC 8446 4.4.3) */
	KEYS_TLS12_SERVER,     /* client random, server random, ServerECDHParams (RFC 8422 5.4) */
};
#define KEYS_SIGN_FIELDS(F, S)                                       \
	F(S, u64, request, 0, "repeated in the answer")              \
	F(S, bytes, name, KEYS_NAME_SIZE, "of the key")              \
	F(S, u32, purpose, KEYS_TLS12_SERVER, "enum keys_purpose")   \
	F(S, u32, scheme, 0xffff, "SignatureScheme, RFC 8446 4.2.3") \
	F(S, bytes, text, KEYS_TEXT_MAX, "what is to be signed, not hashed")
RECORD_DECLARE(keys_sign, KEYS_SIGN_FIELDS)
#define KEYS_SIGNED_FIELDS(F, S)                                                      \
	F(S, u64, request, 0, "of the question")                                      \
	F(S, bytes, signature, KEYS_SIGNATURE_MAX, "as TLS sends it; empty: refused") \
	F(S, string, text, 200, "why it was refused, for the log")
RECORD_DECLARE(keys_signed, KEYS_SIGNED_FIELDS)

/* keys -> each process of a service, as soon as the channel is up and at each change: what seals
 * session tickets (RFC 5077, RFC 8446 4.6.1). Each service has its own, the same in all its
 * processes; the one before still opens. */
#define KEYS_TICKETS_FIELDS(F, S)                                              \
	F(S, bytes, name, KEYS_TICKET_NAME, "of the one that seals")           \
	F(S, secret, secret, KEYS_TICKET_SECRET, "of it")                      \
	F(S, bytes, old_name, KEYS_TICKET_NAME, "of the one before; or empty") \
	F(S, secret, old_secret, KEYS_TICKET_SECRET, "of it")
RECORD_DECLARE(keys_tickets, KEYS_TICKETS_FIELDS)

/* control -> keys: what certificates are there? A KEYS_CERTIFICATE for each, then KEYS_STATUS_END.
 */
#define KEYS_STATUS_FIELDS(F, S) F(S, u64, request, 0, "repeated in the answers")
RECORD_DECLARE(keys_status, KEYS_STATUS_FIELDS)
#define KEYS_CERTIFICATE_FIELDS(F, S)                                                   \
	F(S, u64, request, 0, "of the question")                                        \
	F(S, string, certificate, KEYS_PATH_MAX, "its file")                            \
	F(S, string, key, KEYS_PATH_MAX, "its key's file")                              \
	F(S, string, names, KEYS_NAMES_MAX, "DNS names it is for, separated by blanks") \
	F(S, string, kind, 32, "RSA 2048, EC P-256, Ed25519")                           \
	F(S, u64, from, 0, "Unix seconds, not valid before")                            \
	F(S, u64, until, 0, "Unix seconds, not valid after")                            \
	F(S, string, trouble, 400, "why the newest files are not used; empty: they are")
RECORD_DECLARE(keys_certificate, KEYS_CERTIFICATE_FIELDS)
#define KEYS_STATUS_END_FIELDS(F, S) F(S, u64, request, 0, "of the question")
RECORD_DECLARE(keys_status_end, KEYS_STATUS_END_FIELDS)

#define KEYS_MESSAGES(M)                         \
	M(KEYS_ASK, 1, keys_ask)                 \
	M(KEYS_PRESENT, 2, keys_present)         \
	M(KEYS_SIGN, 3, keys_sign)               \
	M(KEYS_SIGNED, 4, keys_signed)           \
	M(KEYS_TICKETS, 5, keys_tickets)         \
	M(KEYS_STATUS, 6, keys_status)           \
	M(KEYS_CERTIFICATE, 7, keys_certificate) \
	M(KEYS_STATUS_END, 8, keys_status_end)
DIALOGUE_NUMBERS(KEYS_MESSAGES)
extern const struct dialogue keys_dialogue;

#endif
