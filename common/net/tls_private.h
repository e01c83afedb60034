/*
 * tls_private: private keys for TLS: read from PEM, named, and used. The daemon keys holds them,
 * and `stagepost check` looks at them; nobody else includes this.
 */
#ifndef COMMON_NET_TLS_PRIVATE_H
#define COMMON_NET_TLS_PRIVATE_H

#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/net/tls_certificate.h"
#include "common/net/tls_server.h"

enum {
	TLS_PRIVATE_FILE_MAX = 64 * 1024,   /* octets of a key's file */
	TLS_PRIVATE_HEAP = 4 * 1024 * 1024, /* octets for the secret parts: about 4,000 keys */
};

/* Once, before the first key is read and before the sandbox: the secret parts of keys get memory of
 * their own that is in no core dump and, where the system lets it, never swapped out. (Of RSA,
 * OpenSSL keeps the primes once more elsewhere.) */
void tls_privates_begin(void);

struct tls_private;
/* PKCS#8, PKCS#1 or SEC1, without a passphrase: RSA of 2048 to 8192 bits, EC on P-256, P-384 or
 * P-521, Ed25519. The key has made a signature that held. NULL with code 65 (EX_DATAERR): why not.
 * Who has the octets wipes them. */
struct tls_private *tls_private_read(struct slice pem, struct error *e);
void tls_private_free(struct tls_private **k);
/* SHA-256 of the SubjectPublicKeyInfo, TLS_KEY_NAME_SIZE octets. */
const unsigned char *tls_private_name(const struct tls_private *k);
/* "RSA 2048", "EC P-256", "Ed25519" */
const char *tls_private_kind(const struct tls_private *k);

/* Signs the text with a SignatureScheme (RFC 8446 4.2.3) that this kind of key has in that version
 * of TLS. How many octets; 0: it has no such scheme there, or the library failed. */
size_t tls_private_sign(const struct tls_private *k, enum tls_purpose purpose, unsigned scheme,
			struct slice text, unsigned char signature[TLS_SIGNATURE_MAX]);

#endif
