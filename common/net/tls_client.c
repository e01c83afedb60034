/*
 * tls_client: an SSL object for each stream. It gets its octets through a BIO of our own, because
 * OpenSSL's writes without MSG_NOSIGNAL. Sessions are kept in one list for the process, by the
 * names of the server, so that a second connection costs no key exchange with certificates.
 */
#include "common/net/tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/net/sockaddr.h"
#include "common/net/transport.h"

enum { FAULT_MAX = 160 };

struct session {
	TAILQ_ENTRY(session) link;
	SSL_SESSION *session;
	size_t len;
	char name[];
};
TAILQ_HEAD(session_list, session);

struct tls_client {
	SSL_CTX *context;
	BIO_METHOD *method;
	struct map *sessions; /* by name */
	struct session_list oldest;
};

/* Of one stream. */
struct side {
	SSL *ssl;
	struct tls_client *client;
	int fd;
	char fault[FAULT_MAX];
	size_t name_len;
	char name[]; /* of its session */
};

/* The descriptor */

static int bio_write(BIO *bio, const char *data, int len)
{
	struct side *side = BIO_get_data(bio);
	ssize_t n = send(side->fd, data, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *data, int len)
{
	struct side *side = BIO_get_data(bio);
	ssize_t n = recv(side->fd, data, (size_t)len, MSG_DONTWAIT);
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

/* The transport */

static void note_fault(struct side *side)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	snprintf(side->fault, sizeof(side->fault), "%s",
		 reason	 ? reason
		 : errno ? strerror(errno)
			 : "the connection was closed");
}

/* -1 with errno, or 0 at the end, for what SSL_get_error() says. */
static ssize_t failed(struct side *side, int result)
{
	switch (SSL_get_error(side->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		note_fault(side);
		errno = EPROTO;
		return -1;
	}
}

static ssize_t tls_read(void *state, int fd, void *data, size_t len)
{
	struct side *side = state;
	size_t got;
	(void)fd;
	errno = 0;
	ERR_clear_error();
	int result = SSL_read_ex(side->ssl, data, len, &got);
	return result > 0 ? (ssize_t)got : failed(side, result);
}

static ssize_t tls_write(void *state, int fd, struct slice octets, bool last)
{
	struct side *side = state;
	size_t sent = 0, n;
	(void)fd, (void)last;
	errno = 0;
	ERR_clear_error();
	while (sent < octets.len) { /* a record at a time */
		int result = SSL_write_ex(side->ssl, octets.ptr + sent, octets.len - sent, &n);
		if (result > 0) {
			sent += n;
			continue;
		}
		ssize_t why = failed(side, result);
		if (sent == 0 && why == 0)
			errno = EPIPE;
		return sent > 0 ? (ssize_t)sent : -1;
	}
	return (ssize_t)sent;
}

static void tls_end(void *state, int fd, bool closes)
{
	struct side *side = state;
	ERR_clear_error();
	(void)SSL_shutdown(side->ssl); /* close_notify; nobody waits for the peer's */
	if (!closes)
		(void)shutdown(fd, SHUT_WR);
}

static enum transport_step tls_handshake(void *state, int fd)
{
	struct side *side = state;
	(void)fd;
	errno = 0;
	ERR_clear_error();
	int result = SSL_do_handshake(side->ssl);
	if (result == 1)
		return TRANSPORT_DONE;
	switch (SSL_get_error(side->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TRANSPORT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TRANSPORT_WRITE;
	default:
		note_fault(side);
		return TRANSPORT_FAILED;
	}
}

static bool tls_pending(void *state)
{
	const struct side *side = state;
	return SSL_pending(side->ssl) > 0;
}

static const char *tls_fault(void *state)
{
	const struct side *side = state;
	return side->fault;
}

static void tls_free(void *state)
{
	struct side *side = state;
	/* else OpenSSL takes the session for one that was attacked, and no longer resumes it */
	if (side->ssl)
		SSL_set_shutdown(side->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(side->ssl);
	memory_free(side);
}

static const struct transport transport_tls = {tls_read,    tls_write, tls_end, tls_handshake,
					       tls_pending, tls_fault, tls_free};

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
	struct side *side = SSL_get_app_data(ssl);
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

static void session_resume(struct side *side)
{
	struct session *s = map_get(side->client->sessions, slice_make(side->name, side->name_len));
	if (!s)
		return;
	(void)SSL_set_session(side->ssl, s->session); /* else a new one is made */
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

static bool method_set(BIO_METHOD *m)
{
	return BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
	       BIO_meth_set_ctrl(m, bio_control);
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
	ERR_load_crypto_strings();
	t->context = SSL_CTX_new(TLS_client_method());
	t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
	if (t->context && t->method && context_set(t) && method_set(t->method) && warm(t))
		return t;
	error_set(e, ENOMEM, "TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
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
	BIO_meth_free(t->method);
	memory_free(t);
}

/* RFC 6066 3: names only, no addresses. */
static bool set_name(struct side *side, struct slice host)
{
	char name[TLS_NAME_MAX + 1];
	struct net_address a;
	if (net_ip_parse(host, &a) || !slice_copy(host, name, sizeof(name)) || host.len == 0)
		return true;
	return SSL_set_tlsext_host_name(side->ssl, name) == 1;
}

bool tls_client_start(struct tls_client *t, struct stream *s, struct slice host, struct slice where)
{
	struct side *side = memory_zero(1, sizeof(*side) + host.len + 1 + where.len);
	side->client = t;
	side->fd = stream_descriptor(s);
	side->name_len = host.len + 1 + where.len;
	if (host.len > 0)
		memcpy(side->name, host.ptr, host.len);
	if (where.len > 0)
		memcpy(side->name + host.len + 1, where.ptr, where.len);
	side->ssl = SSL_new(t->context);
	BIO *bio = side->ssl ? BIO_new(t->method) : NULL;
	if (!bio || !set_name(side, host)) {
		BIO_free(bio);
		tls_free(side);
		return false;
	}
	BIO_set_data(bio, side);
	BIO_set_init(bio, 1);
	SSL_set_bio(side->ssl, bio, bio);
	SSL_set_app_data(side->ssl, side);
	SSL_set_connect_state(side->ssl);
	session_resume(side);
	stream_set_transport(s, &transport_tls, side);
	return true;
}
