/*
 * tls_server: an SSL object for each stream, on the certificates of the day. A handshake runs as an
 * asynchronous job of OpenSSL's (a stack of its own), which pauses where the private key is needed;
 * the signer is asked from outside of it, on the stack of the loop. There are TLS_JOBS_MAX jobs: a
 * handshake that finds none free waits in line.
 */
#include "common/net/tls_server.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sysexits.h>

#include <bsd/sys/queue.h>

#include "common/base/memory.h"
#include "common/net/tls_parts.h"

#define CIPHERS_12                                                   \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384:P-521"
#define SIGNATURES                                                                      \
	"ed25519:ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:" \
	"RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

struct tls_server {
	struct tls_signer signer;
	char *service;
	struct tls_tickets *tickets;
	SSL_CTX *context; /* of connections from now on; NULL: none can be made */
	struct tls_set *set;
};

/* Of one stream. What only the handshake needs is gone after it. */
struct server_side {
	struct tls_side side; /* first */
	struct tls_server *server;
	struct tls_set *set;
	struct tls_wait *wait;
	struct tls_guest guest;	       /* while its handshake is under way */
	bool sent_away;		       /* there are too many */
	bool queued;		       /* waits in line for a job */
	bool turn;		       /* a job was freed for it, of which it has made no use yet */
	TAILQ_ENTRY(server_side) link; /* of those in line */
};
TAILQ_HEAD(job_list, server_side);

/* OpenSSL has one pool of jobs for the thread. */
static struct job_list queue = TAILQ_HEAD_INITIALIZER(queue);

/* Handshakes */

static void queue_leave(struct server_side *s)
{
	if (s->queued)
		TAILQ_REMOVE(&queue, s, link);
	s->queued = false;
}

/* Whose job was taken by a handshake that came in between stays the first. */
static void queue_join(struct server_side *s, bool first)
{
	if (first)
		TAILQ_INSERT_HEAD(&queue, s, link);
	else
		TAILQ_INSERT_TAIL(&queue, s, link);
	s->queued = true;
}

static void job_freed(void)
{
	struct server_side *next = TAILQ_FIRST(&queue);
	if (!next)
		return;
	queue_leave(next);
	next->turn = true;
	stream_go_on(next->wait->stream);
}

/* Who has had a job or his turn, and keeps none, lets the next one in: not every handshake comes as
 * far as a signature. */
static enum transport_step step(struct server_side *s)
{
	bool turn = s->turn, had_job = turn || s->wait->state != TLS_WAIT_IDLE;
	s->turn = false;
	tls_provider_serve(s->wait);
	enum transport_step next = tls_side_handshake(&s->side, s->side.fd);
	tls_provider_serve(NULL);
	if (next == TRANSPORT_WAIT && s->wait->state == TLS_WAIT_IDLE)
		queue_join(s, turn);
	else if (had_job && s->wait->state != TLS_WAIT_READY)
		job_freed();
	return next;
}

/* The question goes out; true: it is answered already. */
static bool ask(struct server_side *s)
{
	const struct tls_signer *signer = &s->server->signer;
	struct tls_wait *w = s->wait;
	enum tls_purpose purpose =
	    SSL_version(s->side.ssl) == TLS1_3_VERSION ? TLS_SIGN_13 : TLS_SIGN_12;
	w->state = TLS_WAIT_ASKED;
	w->asking = true;
	if (!signer->sign(signer->arg, w->key, purpose, w->scheme, w->text, w))
		w->state = TLS_WAIT_ANSWERED; /* with nothing */
	w->asking = false;
	return w->state == TLS_WAIT_ANSWERED;
}

static void handshake_over(struct server_side *s)
{
	tls_crowd_leave(&s->guest);
	SSL_clear_mode(s->side.ssl, SSL_MODE_ASYNC);
	memory_free(s->wait);
	s->wait = NULL;
	tls_set_release(&s->set);
}

static enum transport_step server_handshake(void *state, int fd)
{
	struct server_side *s = state;
	enum transport_step next;
	(void)fd;
	if (s->sent_away) {
		s->side.fault = "too many handshakes at once";
		return TRANSPORT_FAILED;
	}
	if (s->wait->state == TLS_WAIT_ASKED)
		return TRANSPORT_WAIT;
	queue_leave(s);
	do
		next = step(s);
	while (s->wait->state == TLS_WAIT_READY && ask(s));
	s->guest.busy = next == TRANSPORT_WAIT;
	if (next == TRANSPORT_FAILED && s->wait->state == TLS_WAIT_ANSWERED && s->wait->len == 0)
		s->side.fault = "the certificate's key can't be used now";
	if (next == TRANSPORT_DONE)
		handshake_over(s);
	return next;
}

void tls_signed(struct tls_wait *wait, struct slice signature)
{
	if (wait->state != TLS_WAIT_ASKED)
		panic("tls: a signature that nobody waits for");
	wait->state = TLS_WAIT_ANSWERED;
	wait->len = signature.len <= sizeof(wait->signature) ? signature.len : 0;
	if (wait->len > 0)
		memcpy(wait->signature, signature.ptr, wait->len);
	if (!wait->asking)
		stream_go_on(wait->stream);
}

/* A job that pauses must be brought to its end, else its stack is lost. */
static void server_free(void *state)
{
	struct server_side *s = state;
	struct tls_wait *w = s->wait;
	tls_crowd_leave(&s->guest);
	queue_leave(s);
	if (s->turn)
		job_freed();
	if (w && w->state == TLS_WAIT_ASKED)
		s->server->signer.forget(s->server->signer.arg, w);
	if (w && SSL_waiting_for_async(s->side.ssl)) {
		s->side.mute = true;
		w->state = TLS_WAIT_ANSWERED;
		w->len = 0;
		(void)step(s);
	}
	tls_side_free(&s->side);
	memory_free(w);
	tls_set_release(&s->set);
	memory_free(s);
}

static const struct transport transport_server = {
    tls_side_read,    tls_side_write, tls_side_end, server_handshake,
    tls_side_pending, tls_side_fault, server_free,
};

static struct slice host_asked(const SSL *ssl)
{
	return slice_str(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
}

/* Calls of OpenSSL's, all inside a handshake */

static int on_certificate(SSL *ssl, void *arg)
{
	const struct server_side *s = SSL_get_app_data(ssl);
	(void)arg;
	return tls_set_choose(s->set, ssl, host_asked(ssl));
}

/* Tells the client that its name was looked at (RFC 6066 3), whatever it is. */
static int on_host(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int seal)
{
	const struct server_side *s = SSL_get_app_data(ssl);
	int used = tls_tickets_use(s->server->tickets, name, iv, cipher, mac, seal != 0);
	/* 2: a new one follows. A client uses a ticket once: RFC 8446 C.4 */
	return used == 1 && !seal && SSL_version(ssl) == TLS1_3_VERSION ? 2 : used;
}

/* The server */

static SSL_CTX *context_new(const struct tls_server *t, unsigned minimum)
{
	SSL_CTX *c = SSL_CTX_new_ex(tls_library(), NULL, TLS_server_method());
	if (!c)
		return NULL;
	SSL_CTX_set_security_level(c, TLS_SECURITY_LEVEL);
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	/* mail has its own ends: a client that goes without close_notify cuts nothing short */
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				   SSL_OP_IGNORE_UNEXPECTED_EOF |
				   SSL_OP_CLEANSE_PLAINTEXT); /* it may be a password */
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(c, TLS_TICKET_SECONDS);
	SSL_CTX_set_num_tickets(c, 1);
	SSL_CTX_set_cert_cb(c, on_certificate, NULL);
	SSL_CTX_set_tlsext_servername_callback(c, on_host);
	size_t len = strlen(t->service);
	if (SSL_CTX_set_min_proto_version(c, minimum >= 13 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
	    SSL_CTX_set_cipher_list(c, CIPHERS_12) && SSL_CTX_set1_groups_list(c, GROUPS) &&
	    SSL_CTX_set1_sigalgs_list(c, SIGNATURES) &&
	    SSL_CTX_set_session_id_context(c, (const unsigned char *)t->service, (unsigned)len) &&
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket))
		return c;
	SSL_CTX_free(c);
	return NULL;
}

/* What is loaded at its first use: the pool of jobs and its first stack, the random numbers. */
static bool warm(struct error *e)
{
	static bool warmed;
	unsigned char some[16];
	if (warmed)
		return true;
	if (!ASYNC_is_capable() || !ASYNC_init_thread(TLS_JOBS_MAX, 1) ||
	    RAND_bytes_ex(tls_library(), some, sizeof(some), 0) <= 0 ||
	    RAND_priv_bytes_ex(tls_library(), some, sizeof(some), 0) <= 0)
		return tls_error(e, EX_SOFTWARE, "TLS");
	warmed = true;
	return true;
}

struct tls_server *tls_server_new(const char *service, const struct tls_signer *signer,
				  struct error *e)
{
	size_t len = strlen(service);
	if (len == 0 || len > SSL_MAX_SID_CTX_LENGTH)
		panic("tls: a service's name of %zu octets", len);
	if (!tls_provider_load(e) || !warm(e))
		return NULL;
	struct tls_server *t = memory_zero(1, sizeof(*t));
	t->signer = *signer;
	t->service = memory_string(slice_str(service));
	t->tickets = tls_tickets_new();
	SSL_CTX *context = context_new(t, 12); /* loads ciphers and groups */
	if (context) {
		SSL_CTX_free(context);
		return t;
	}
	tls_error(e, EX_SOFTWARE, "TLS");
	tls_server_free(&t);
	return NULL;
}

void tls_server_free(struct tls_server **server)
{
	struct tls_server *t = *server;
	*server = NULL;
	if (!t)
		return;
	SSL_CTX_free(t->context);
	tls_set_release(&t->set);
	tls_tickets_free(&t->tickets);
	memory_free(t->service);
	memory_free(t);
}

/* Tries what a connection would do, so that what can't be used is found now. */
static bool try_out(SSL_CTX *context, const struct tls_set *set, struct error *e)
{
	SSL *ssl = SSL_new(context);
	bool good = ssl && tls_set_choose(set, ssl, SLICE_EMPTY);
	SSL_free(ssl);
	return good || tls_error(e, EX_DATAERR, "a certificate can't be used");
}

bool tls_server_use(struct tls_server *t, unsigned minimum,
		    struct tls_certificate *const *certificates, size_t count, struct error *e)
{
	if (count == 0 || count > TLS_CERTIFICATES_MAX)
		return error_set(e, EX_DATAERR, "%zu certificates: there may be 1 to %d", count,
				 TLS_CERTIFICATES_MAX);
	struct tls_set *set = tls_set_new(certificates, count, e);
	SSL_CTX *context = set ? context_new(t, minimum) : NULL;
	if (set && !context)
		tls_error(e, EX_SOFTWARE, "TLS");
	if (!context || !try_out(context, set, e)) {
		SSL_CTX_free(context);
		tls_set_release(&set);
		return false;
	}
	SSL_CTX_free(t->context); /* its connections hold it */
	tls_set_release(&t->set);
	t->context = context;
	t->set = set;
	return true;
}

void tls_server_tickets(struct tls_server *t, const unsigned char *name,
			const unsigned char *secret, const unsigned char *old_name,
			const unsigned char *old_secret)
{
	tls_tickets_set(t->tickets, name, secret, old_name, old_secret);
}

/* For one handshake more another may have to end. */
static void make_room(struct server_side *s)
{
	struct tls_guest *g = tls_crowd_enter(&s->guest, s->side.fd);
	if (!g)
		return;
	struct server_side *goes =
	    (struct server_side *)(void *)((char *)g - offsetof(struct server_side, guest));
	goes->sent_away = true;
	stream_go_on(goes->wait->stream);
}

bool tls_server_start(struct tls_server *t, struct stream *stream)
{
	/* RFC 3207 4.2: nothing that came before the handshake counts */
	stream_consume(stream, stream_input(stream).len);
	stream_flush(stream);
	if (!t->context || stream_unsent(stream) > 0)
		return false;
	struct server_side *s = memory_zero(1, sizeof(*s));
	if (!tls_side_init(&s->side, t->context, stream_descriptor(stream))) {
		tls_side_free(&s->side);
		memory_free(s);
		return false;
	}
	s->server = t;
	s->set = tls_set_hold(t->set);
	s->wait = memory_zero(1, sizeof(*s->wait));
	s->wait->stream = stream;
	SSL_set_accept_state(s->side.ssl);
	SSL_set_mode(s->side.ssl, SSL_MODE_ASYNC);
	if (!tls_tickets_there(t->tickets)) {
		SSL_set_options(s->side.ssl, SSL_OP_NO_TICKET);
		SSL_set_num_tickets(s->side.ssl, 0);
	}
	stream_set_transport(stream, &transport_server, s);
	make_room(s);
	return true;
}

/* What came of it */

/* NULL: it is not secured. */
static SSL *ssl_of(const struct stream *stream)
{
	const struct server_side *s = stream_transport_state(stream, &transport_server);
	return s && !s->wait ? s->side.ssl : NULL;
}

void tls_server_facts(const struct stream *stream, struct tls_facts *facts)
{
	SSL *ssl = ssl_of(stream);
	memset(facts, 0, sizeof(*facts));
	if (!ssl)
		return;
	(void)slice_copy(slice_str(SSL_get_version(ssl)), facts->version, sizeof(facts->version));
	(void)slice_copy(slice_str(SSL_get_cipher_name(ssl)), facts->cipher, sizeof(facts->cipher));
	facts->bits = (unsigned)SSL_get_cipher_bits(ssl, NULL);
	facts->resumed = SSL_session_reused(ssl) == 1;
	(void)slice_copy(host_asked(ssl), facts->host, sizeof(facts->host));
}

/* RFC 9266 2: bound to this connection alone only with TLS 1.3, or the extended master secret. */
static size_t exporter(SSL *ssl, unsigned char binding[TLS_BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	enum { LENGTH = 32 };
	if (SSL_version(ssl) != TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return 0;
	return SSL_export_keying_material(ssl, binding, LENGTH, label, sizeof(label) - 1,
					  (const unsigned char *)"", 0, 1) == 1
		   ? LENGTH
		   : 0;
}

/* RFC 5929 4.1: the hash of its signature, but SHA-256 for MD5 and SHA-1; where its signature has
 * none (Ed25519) nothing is defined. A session that was resumed does not tell its certificate. */
static size_t end_point(SSL *ssl, unsigned char binding[TLS_BINDING_MAX])
{
	X509 *x = SSL_get_certificate(ssl);
	unsigned len = 0;
	int digest = NID_undef;
	if (!x || SSL_session_reused(ssl) ||
	    !X509_get_signature_info(x, &digest, NULL, NULL, NULL) || digest == NID_undef)
		return 0;
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	EVP_MD *md = EVP_MD_fetch(tls_library(), OBJ_nid2sn(digest), NULL);
	if (!md || EVP_MD_get_size(md) > TLS_BINDING_MAX || !X509_digest(x, md, binding, &len))
		len = 0;
	EVP_MD_free(md);
	ERR_clear_error();
	return len;
}

size_t tls_server_binding(const struct stream *stream, const char *type,
			  unsigned char binding[TLS_BINDING_MAX])
{
	SSL *ssl = ssl_of(stream);
	if (ssl && strcmp(type, "tls-exporter") == 0)
		return exporter(ssl, binding);
	if (ssl && strcmp(type, "tls-server-end-point") == 0)
		return end_point(ssl, binding);
	return 0;
}
