/*
 * tls_certificate: certificates (RFC 5280) as files have them, in PEM, and what of them concerns a
 * server: whom they are for, how long, and which key they need. No chain is verified: whom a server
 * shows what is its administrator's matter, and the clients'.
 */
#ifndef COMMON_NET_TLS_CERTIFICATE_H
#define COMMON_NET_TLS_CERTIFICATE_H

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
	TLS_KEY_NAME_SIZE = 32,	  /* SHA-256 of the SubjectPublicKeyInfo, DER */
	TLS_KEY_KIND_SIZE = 32,	  /* with its NUL */
	TLS_PEM_MAX = 256 * 1024, /* octets of a certificate's file */
	TLS_CHAIN_MAX = 16,	  /* certificates in it */
	TLS_CERTIFICATE_NAMES_MAX = 500,
	TLS_RSA_BITS_MIN = 2048,
	TLS_RSA_BITS_MAX = 8192,
};

struct tls_certificate;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* One certificate: the chain as PEM, the server's own first. NULL with code 65 (EX_DATAERR): what
 * is wrong. A file with a private key in it is refused: whoever reads certificates must not see
 * that. When it is valid is for others to judge. */
struct tls_certificate *tls_certificate_read(struct slice pem, struct error *e);
void tls_certificate_free(struct tls_certificate **c);

const unsigned char *tls_certificate_key(const struct tls_certificate *c); /* TLS_KEY_NAME_SIZE */
/* "RSA 2048", "EC P-256", "Ed25519" */
const char *tls_certificate_kind(const struct tls_certificate *c);
/* Unix seconds: not valid before, not valid after. */
uint64_t tls_certificate_from(const struct tls_certificate *c);
uint64_t tls_certificate_until(const struct tls_certificate *c);
/* The host names it is for, in lower case, some with "*." in front: the DNS names of
 * subjectAltName, or the common name where there is none. May be none at all. */
size_t tls_certificate_names(const struct tls_certificate *c);
struct slice tls_certificate_name(const struct tls_certificate *c, size_t n);
/* RFC 6125 6.4: "*." stands for one label. Case does not matter. */
bool tls_certificate_is_for(const struct tls_certificate *c, struct slice host);

/* 0: each is issued by the next one; else the number, from 1, of the first that is not. */
size_t tls_certificate_disorder(const struct tls_certificate *c);

/* Of a key of which at least the public half is there: the name and the kind that its certificate
 * gives it. False with code 65: TLS is not spoken here with keys of that kind. */
bool tls_key_name(const struct evp_pkey_st *key, unsigned char name[TLS_KEY_NAME_SIZE],
		  struct error *e);
bool tls_key_kind(const struct evp_pkey_st *key, char kind[TLS_KEY_KIND_SIZE], struct error *e);

#endif
