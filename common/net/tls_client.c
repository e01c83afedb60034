/*
 * tls_client: an SSL object for each stream. Sessions are kept in one list for the process, by the
 * names of the server, so that a second connection costs no key exchange with certificates.
 */
#include "common/net/tls_client.h"

#include <errno.h>
#include <openssl/err.h>

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/net/sockaddr.h"
#include "common/net/tls_parts.h"

struct session {
	TAILQ_ENTRY(session) link;
	SSL_SESSION *session;
	size_t len;
	char name[];
};
TAILQ_HEAD(session_list, session);

struct tls_client {
	SSL_CTX *context;
	struct map *sessions; /* by name */
	struct session_list oldest;
};

/* Of one stream. */
struct client_side {
	struct tls_side side; /* first */
	struct tls_client *client;
	size_t name_len;
	char name[]; /* of its session */
};

static void client_free(void *state)
{
	struct client_side *client = state;
	tls_side_free(&client->side);
	memory_free(client);
}

static const struct transport transport_client = {
    tls_side_read,    tls_side_write, tls_side_end, tls_side_handshake,
    tls_side_pending, tls_side_fault, client_free,
};

/* Sessions */

static void session_free(struct tls_client *t, struct session *s)
{
	map_remove(t->sessions, slice_make(s->name, s->len));
	TAILQ_REMOVE(&t->oldest, s, link);
	SSL_SESSION_free(s->session);
	memory_free(s);
}

/* Takes the reference, says OpenSSL by the 1. */
static int session_keep(SSL *ssl, SSL_SESSION *session)
{
	struct client_side *side = SSL_get_app_data(ssl);
	struct tls_client *t = side->client;
	struct slice name = slice_make(side->name, side->name_len);
	struct session *s = map_get(t->sessions, name);
	if (s)
		session_free(t, s);
	if (map_count(t->sessions) >= TLS_SESSIONS_MAX)
		session_free(t, TAILQ_FIRST(&t->oldest));
	s = memory_get(sizeof(*s) + name.len);
	s->session = session;
	s->len = name.len;
	memcpy(s->name, name.ptr, name.len);
	map_put(t->sessions, slice_make(s->name, s->len), s);
	TAILQ_INSERT_TAIL(&t->oldest, s, link);
	return 1;
}

static void session_resume(struct client_side *side)
{
	struct session *s = map_get(side->client->sessions, slice_make(side->name, side->name_len));
	if (!s)
		return;
	(void)SSL_set_session(side->side.ssl, s->session); /* else a new one is made */
	if (SSL_SESSION_get_protocol_version(s->session) >= TLS1_3_VERSION)
		session_free(side->client, s); /* a ticket is used once: RFC 8446 C.4 */
}

/* Life */

static bool context_set(struct tls_client *t)
{
	SSL_CTX *c = t->context;
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				SSL_MODE_RELEASE_BUFFERS);
	/* a server that ends without close_notify is not worse than one that can't do TLS */
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				   SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, session_keep);
	return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1;
}

/* The first steps of a handshake into memory: random numbers, key exchange, ciphers are loaded. */
static bool warm(struct tls_client *t)
{
	SSL *ssl = SSL_new(t->context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	if (!ssl || !in || !out)
		return false;
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	int result = SSL_do_handshake(ssl);
	bool waits = SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
	SSL_free(ssl);
	ERR_clear_error();
	return waits;
}

struct tls_client *tls_client_new(struct error *e)
{
	struct tls_client *t = memory_zero(1, sizeof(*t));
	TAILQ_INIT(&t->oldest);
	t->sessions = map_new();
	t->context = SSL_CTX_new_ex(tls_library(), NULL, TLS_client_method());
	if (t->context && context_set(t) && warm(t))
		return t;
	tls_error(e, ENOMEM, "TLS");
	tls_client_free(&t);
	return NULL;
}

void tls_client_free(struct tls_client **client)
{
	struct tls_client *t = *client;
	struct session *s;
	*client = NULL;
	if (!t)
		return;
	while ((s = TAILQ_FIRST(&t->oldest)))
		session_free(t, s);
	map_free(&t->sessions);
	SSL_CTX_free(t->context);
	memory_free(t);
}

/* RFC 6066 3: names only, no addresses. */
static bool set_name(SSL *ssl, struct slice host)
{
	char name[TLS_NAME_MAX + 1];
	struct net_address a;
	if (net_ip_parse(host, &a) || !slice_copy(host, name, sizeof(name)) || host.len == 0)
		return true;
	return SSL_set_tlsext_host_name(ssl, name) == 1;
}

bool tls_client_start(struct tls_client *t, struct stream *s, struct slice host, struct slice where)
{
	struct client_side *client = memory_zero(1, sizeof(*client) + host.len + 1 + where.len);
	client->client = t;
	client->name_len = host.len + 1 + where.len;
	if (host.len > 0)
		memcpy(client->name, host.ptr, host.len);
	if (where.len > 0)
		memcpy(client->name + host.len + 1, where.ptr, where.len);
	if (!tls_side_init(&client->side, t->context, stream_descriptor(s)) ||
	    !set_name(client->side.ssl, host)) {
		client_free(client);
		return false;
	}
	SSL_set_connect_state(client->side.ssl);
	session_resume(client);
	stream_set_transport(s, &transport_client, client);
	return true;
}
