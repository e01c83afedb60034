/*
 * tls_server: the server's side of TLS 1.2 and 1.3 (RFC 5246, RFC 8446) as the transport of a
 * stream. The private keys are elsewhere: what is to be signed is asked of a signer, and the
 * handshake waits for the answer (an OpenSSL asynchronous job) while all others go on.
 *
 * Spoken: of TLS 1.2 ECDHE with AES-GCM or ChaCha20-Poly1305, of TLS 1.3 the same ciphers; X25519,
 * P-256, P-384, P-521. Never: older versions, SHA-1, RSA key exchange, CBC, compression,
 * renegotiation, early data. An idle session has 15 KB, half of them OpenSSL's struct ssl_st.
 */
#ifndef COMMON_NET_TLS_SERVER_H
#define COMMON_NET_TLS_SERVER_H

#include "common/base/error.h"
#include "common/net/stream.h"
#include "common/net/tls_certificate.h"

enum {
	TLS_TICKET_NAME_SIZE = 16,
	TLS_TICKET_SECRET_SIZE = 64, /* 32 octets for AES-256, 32 for HMAC-SHA-256 */
	TLS_CERTIFICATES_MAX = 1000,
	TLS_BINDING_MAX = 64,
	TLS_SIGNATURE_MAX = 1024, /* RSA of TLS_RSA_BITS_MAX */
	TLS_JOBS_MAX = 128,	  /* handshakes that wait for a signature; others wait for them */
	TLS_HANDSHAKES_MAX = 512, /* under way in this process; each may hold 200 KB */
	TLS_TICKET_SECONDS = 2 * 3600,
};

struct tls_server;
struct tls_wait; /* a handshake that waits for its signature */

enum tls_purpose {
	TLS_SIGN_13 = 1, /* the text of RFC 8446 4.4.3 */
	TLS_SIGN_12,	 /* the text of RFC 8422 5.4 */
};

struct tls_signer {
	/* The answer is tls_signed(wait, ...), later, once; or never after forget(). False: it
	 * can't be asked for, and the handshake fails. */
	bool (*sign)(void *arg, const unsigned char key[TLS_KEY_NAME_SIZE],
		     enum tls_purpose purpose, unsigned scheme, struct slice text,
		     struct tls_wait *wait);
	/* The connection is gone: the answer is not wanted any more. */
	void (*forget)(void *arg, struct tls_wait *wait);
	void *arg;
};

/* For one service of one process. Loads all that OpenSSL loads late: call it before the sandbox.
 * service: sessions are resumed within it alone. NULL: the library can't. */
struct tls_server *tls_server_new(const char *service, const struct tls_signer *signer,
				  struct error *e);
void tls_server_free(struct tls_server **t); /* none of its connections is left */

/* Replaces all that is used for connections from now on; those that are there keep theirs. The
 * first certificate is for clients that name no host (RFC 6066 3) which one of them is for.
 * minimum: 12 or 13. Certificates are copied. False with code 65: a certificate can't be used. */
bool tls_server_use(struct tls_server *t, unsigned minimum,
		    struct tls_certificate *const *certificates, size_t count, struct error *e);
/* Seals session tickets with the first, opens with both (old_name NULL: there is one). Without this
 * there are no tickets. */
void tls_server_tickets(struct tls_server *t, const unsigned char *name,
			const unsigned char *secret, const unsigned char *old_name,
			const unsigned char *old_secret);

/* The stream speaks TLS from now on: its kind's secured() tells that it may go on, end() with
 * STREAM_UNSAFE that it can't. What is unread is thrown away here (RFC 3207 4.2: what came with
 * STARTTLS, even a ClientHello, is nobody's), and what is unsent, the answer to STARTTLS, leaves
 * first. Whoever calls this forgets what he knows of the client. Octets that come later are TLS or
 * the end. The deadline and rate of the stream hold for the handshake as for anything else, and
 * nothing that the client sends moves them. One more than TLS_HANDSHAKES_MAX ends the oldest of the
 * network (/24, of IPv6 /48) that has the most of them.
 * False: there is no certificate, no memory, or the client does not take what was sent before. */
bool tls_server_start(struct tls_server *t, struct stream *s);
/* The signature, in the form that TLS sends; empty: refused, the handshake fails. */
void tls_signed(struct tls_wait *wait, struct slice signature);

/* Of a stream that has been secured; else all is empty, and there is no binding. */
struct tls_facts {
	char version[12]; /* "TLSv1.3" */
	char cipher[64];  /* "TLS_AES_256_GCM_SHA384" */
	unsigned bits;
	bool resumed;
	char host[256]; /* that the client asked for; may be empty */
};
void tls_server_facts(const struct stream *s, struct tls_facts *facts);
/* Channel bindings for SCRAM-SHA-256-PLUS: "tls-exporter" (RFC 9266), and "tls-server-end-point"
 * (RFC 5929). How many octets; 0: there is none. */
size_t tls_server_binding(const struct stream *s, const char *type,
			  unsigned char binding[TLS_BINDING_MAX]);

#endif
