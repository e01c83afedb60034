/*
 * tls_client: TLS 1.2 and 1.3 (RFC 5246, RFC 8446) as the transport of a stream, by OpenSSL. The
 * client's side: no certificate is looked at yet, so it keeps out those who listen, not those who
 * lie in between (RFC 7435).
 */
#ifndef COMMON_NET_TLS_CLIENT_H
#define COMMON_NET_TLS_CLIENT_H

#include "common/base/error.h"
#include "common/net/stream.h"

struct tls_client;

enum {
	TLS_SESSIONS_MAX = 1024, /* kept to be resumed; the oldest go first */
	TLS_NAME_MAX = 255,	 /* octets of a server's name */
};

/* What all connections of a process share. Loads all that OpenSSL loads late: call it before the
 * sandbox. NULL: the library can't. */
struct tls_client *tls_client_new(struct error *e);
void tls_client_free(struct tls_client **t);

/* The stream, which has nothing unread and nothing unsent, speaks TLS from now on: its kind's
 * secured() tells that it may go on, end() with STREAM_UNSAFE that it can't. host: the server's
 * name, for SNI (RFC 6066 3; an address is not sent), and for the session that may be resumed; it
 * is part of that session's name with `where`. False when the library has no memory. */
bool tls_client_start(struct tls_client *t, struct stream *s, struct slice host,
		      struct slice where);

#endif
