/*
 * tls_parts: what the files of TLS share. Inside net/ alone.
 */
#ifndef COMMON_NET_TLS_PARTS_H
#define COMMON_NET_TLS_PARTS_H

#include <bsd/sys/queue.h>
#include <openssl/ssl.h>

#include "common/net/tls_server.h"
#include "common/net/transport.h"

enum { TLS_SECURITY_LEVEL = 2 }; /* OpenSSL's: 112 bits, no SHA-1 in certificates */

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

/* One end of one connection; state of the transport, at the start of what each side adds. */
struct tls_side {
	SSL *ssl;
	int fd;
	bool mute;	   /* nothing is sent any more */
	bool last;	   /* what is written now is followed by the end */
	size_t allowance;  /* octets that OpenSSL may still read in this call */
	unsigned steps;	   /* that its handshakes took */
	const char *fault; /* in a few words, static; NULL: none */
};

/* tls_transport.c: makes the SSL object; false without memory. tls_side_free() frees that alone. */
bool tls_side_init(struct tls_side *side, SSL_CTX *context, int fd);
void tls_side_free(struct tls_side *side);
/* As struct transport has them. TRANSPORT_WAIT: OpenSSL waits for an asynchronous job. */
ssize_t tls_side_read(void *state, int fd, void *data, size_t len);
ssize_t tls_side_write(void *state, int fd, struct slice octets, bool last);
void tls_side_end(void *state, int fd, bool closes);
enum transport_step tls_side_handshake(void *state, int fd);
bool tls_side_pending(void *state);
const char *tls_side_fault(void *state);

/* A handshake's question to the signer. It lives while the handshake does. */
enum tls_wait_state {
	TLS_WAIT_IDLE,
	TLS_WAIT_READY, /* the provider has filled it, and the job pauses */
	TLS_WAIT_ASKED,
	TLS_WAIT_ANSWERED,
};
struct tls_wait {
	enum tls_wait_state state;
	bool asking; /* inside the signer's sign() */
	const unsigned char *key;
	unsigned scheme;
	struct slice text;
	size_t len; /* 0: refused */
	unsigned char signature[TLS_SIGNATURE_MAX];
	struct stream *stream;
};

/* tls_crowd.c: the handshakes that are under way in this process, by the networks of their clients.
 */
struct tls_network;
struct tls_guest {
	TAILQ_ENTRY(tls_guest) link; /* of its network, the oldest first */
	struct tls_network *network; /* NULL: is not there */
	bool busy;		     /* waits for us, not for its client */
};
/* It is there from now on. Returns who has to go for it, no longer there; NULL: there is room. */
struct tls_guest *tls_crowd_enter(struct tls_guest *g, int fd);
void tls_crowd_leave(struct tls_guest *g); /* twice is once */

/* tls_provider.c: the private key of a public one; what it signs waits for an answer. */
bool tls_provider_load(struct error *e);
EVP_PKEY *tls_provider_key(EVP_PKEY *public, struct error *e);
/* Whose handshake runs now; NULL: nobody's. */
void tls_provider_serve(struct tls_wait *wait);

/* tls_set.c: the certificates of a server, and which of them a client gets. */
struct tls_set;
struct tls_set *tls_set_new(struct tls_certificate *const *certificates, size_t count,
			    struct error *e);
struct tls_set *tls_set_hold(struct tls_set *set);
void tls_set_release(struct tls_set **set);
/* Gives the connection the certificates that are for that host (empty or unknown: the first). */
bool tls_set_choose(const struct tls_set *set, SSL *ssl, struct slice host);

/* tls_tickets.c */
struct tls_tickets;
struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets **t);
void tls_tickets_set(struct tls_tickets *t, const unsigned char *name, const unsigned char *secret,
		     const unsigned char *old_name, const unsigned char *old_secret);
bool tls_tickets_there(const struct tls_tickets *t);
/* As the callback of SSL_CTX_set_tlsext_ticket_key_evp_cb(). */
int tls_tickets_use(struct tls_tickets *t, unsigned char *name, unsigned char *iv,
		    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal);

/* tls_library.c: the library context of all that net/ does with OpenSSL, made at the first call.
 * It reads no configuration of OpenSSL's, and has the default provider; ends the process when the
 * library can't. */
OSSL_LIB_CTX *tls_library(void);
/* "why: " and the first reason in OpenSSL's list, which is then empty; returns false. */
bool tls_error(struct error *e, int code, const char *why);

#endif
