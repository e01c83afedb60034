/*
 * tls_parts: what the files of TLS share. Inside net/ alone.
 */
#ifndef COMMON_NET_TLS_PARTS_H
#define COMMON_NET_TLS_PARTS_H

#include <openssl/ssl.h>

#include "common/net/tls_certificate.h"

/* The kinds of keys in which a client may have a preference: a name may have one of each. */
enum tls_kind { TLS_RSA, TLS_EC, TLS_ED25519, TLS_KINDS };

struct tls_certificate {
	X509 *chain[TLS_CHAIN_MAX]; /* the server's own first */
	size_t count;
	enum tls_kind kind;
	char kind_text[TLS_KEY_KIND_SIZE];
	unsigned char key[TLS_KEY_NAME_SIZE];
	uint64_t from, until;
	char *names[TLS_CERTIFICATE_NAMES_MAX];
	size_t names_count;
};

/* tls_certificate.c: a further holder of the same chain. */
struct tls_certificate *tls_certificate_copy(const struct tls_certificate *c);

/* tls_library.c: the library context of all that net/ does with OpenSSL, made at the first call.
 * It reads no configuration of OpenSSL's, and has the default provider; ends the process when the
 * library can't. */
OSSL_LIB_CTX *tls_library(void);
/* "why: " and the first reason in OpenSSL's list, which is then empty; returns false. */
bool tls_error(struct error *e, int code, const char *why);

#endif
