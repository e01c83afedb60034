/*
 * A server of net/tls_server on the loop, a signer that has the keys at hand, and clients of
 * OpenSSL's own, each in a thread. Included once per test program.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>

#include "common/base/memory.h"
#include "common/net/tls_server.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/turns.h"

enum { KEYS_MAX = 8, FLOOD = 3 * 1024 * 1024 };

/* The signer */

enum signer_mood { AT_ONCE, LATER, NEVER, EMPTY, GARBAGE, UNABLE };

static struct signer_key {
	EVP_PKEY *key;
	unsigned char name[TLS_KEY_NAME_SIZE];
} signer_keys[KEYS_MAX];
static size_t signer_keys_count;
static enum signer_mood mood;
static size_t asked, forgotten;
static unsigned last_scheme;
static enum tls_purpose last_purpose;
static char last_text[512];
static size_t last_text_len;
static struct tls_wait *last_wait;
static struct loop_timer signer_timer;
static unsigned char signature[TLS_SIGNATURE_MAX];
static size_t signature_len;

static const char *digest_of(unsigned scheme)
{
	static const char *const digests[] = {[4] = "SHA256", [5] = "SHA384", [6] = "SHA512"};
	unsigned hash = scheme >> 8 == 8 ? scheme & 0xff : scheme >> 8;
	return scheme == 0x0807 ? NULL : digests[hash];
}

static void sign_text(EVP_PKEY *key, unsigned scheme, struct slice text)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	signature_len = sizeof(signature);
	ck_assert_int_eq(EVP_DigestSignInit_ex(m, &p, digest_of(scheme), NULL, NULL, key, NULL), 1);
	if (scheme >> 8 == 8 && scheme != 0x0807) {
		ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING), 0);
		ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST), 0);
	}
	ck_assert_int_eq(
	    EVP_DigestSign(m, signature, &signature_len, (const unsigned char *)text.ptr, text.len),
	    1);
	EVP_MD_CTX_free(m);
}

static void signer_answer(void *arg)
{
	struct tls_wait *wait = last_wait;
	(void)arg;
	last_wait = NULL;
	tls_signed(wait, slice_make(signature, signature_len));
}

static bool signer_sign(void *arg, const unsigned char key[TLS_KEY_NAME_SIZE],
			enum tls_purpose purpose, unsigned scheme, struct slice text,
			struct tls_wait *wait)
{
	(void)arg;
	asked++;
	last_scheme = scheme;
	last_purpose = purpose;
	ck_assert_uint_le(text.len, sizeof(last_text));
	memcpy(last_text, text.ptr, text.len);
	last_text_len = text.len;
	last_wait = wait;
	if (mood == UNABLE)
		return false;
	if (mood == NEVER)
		return true;
	size_t i = 0;
	while (i < signer_keys_count && memcmp(signer_keys[i].name, key, TLS_KEY_NAME_SIZE) != 0)
		i++;
	ck_assert_uint_lt(i, signer_keys_count);
	sign_text(signer_keys[i].key, scheme, text);
	if (mood == GARBAGE)
		signature[signature_len / 2] ^= 1;
	if (mood == EMPTY)
		signature_len = 0;
	if (mood == LATER)
		loop_timer_start(&signer_timer, 1000, signer_answer, NULL);
	else
		signer_answer(NULL);
	return true;
}

static void signer_forget(void *arg, struct tls_wait *wait)
{
	(void)arg;
	ck_assert_ptr_eq(wait, last_wait);
	loop_timer_stop(&signer_timer);
	last_wait = NULL;
	forgotten++;
}

static const struct tls_signer signer = {signer_sign, signer_forget, NULL};

/* A new key that the signer has, and its certificate. */
static inline struct tls_certificate *certified(const char *kind, const char *common,
						const char *alternative)
{
	struct signer_key *k = &signer_keys[signer_keys_count++];
	struct error e;
	ck_assert_uint_le(signer_keys_count, KEYS_MAX);
	k->key = key_make(kind);
	ck_assert(tls_key_name(k->key, k->name, &e));
	X509 *x = certificate_make(k->key, common, alternative);
	struct slice pem = certificate_pem(x);
	struct tls_certificate *c = tls_certificate_read(pem, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
	free((char *)pem.ptr);
	X509_free(x);
	return c;
}

static inline void signer_end(void)
{
	for (size_t i = 0; i < signer_keys_count; i++)
		EVP_PKEY_free(signer_keys[i].key);
	signer_keys_count = 0;
	loop_timer_stop(&signer_timer);
}

/* The server's end of a connection: sends back what it gets. */

static struct stream *served;
static bool secured, ended;
static enum stream_end reason;
static char fault[200];
static struct tls_facts facts;

static void on_input(struct stream *s)
{
	struct slice in = stream_input(s);
	ck_assert(secured);
	(void)stream_send(s, in);
	stream_consume(s, in.len);
}

static void on_end(struct stream *s, enum stream_end why)
{
	ended = true;
	reason = why;
	(void)slice_copy(slice_str(stream_fault(s)), fault, sizeof(fault));
}

static void on_secured(struct stream *s)
{
	secured = true;
	tls_server_facts(s, &facts);
}

static const struct stream_kind served_kind = {16384,  2 * FLOOD, on_input,
					       on_end, NULL,	  on_secured};

static inline struct tls_server *server_made(const char *service, unsigned minimum,
					     struct tls_certificate **certificates, size_t count)
{
	struct error e;
	struct tls_server *t = tls_server_new(service, &signer, &e);
	ck_assert_msg(t != NULL, "%s", e.text);
	ck_assert_msg(tls_server_use(t, minimum, certificates, count, &e), "%s", e.text);
	return t;
}

/* The other end of the socket. */
static inline int serve(struct tls_server *t)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	secured = ended = false;
	served = stream_open(fds[0], &served_kind, NULL);
	ck_assert(tls_server_start(t, served));
	return fds[1];
}

/* The client */

static struct client {
	int least, most;     /* versions; 0: any */
	const char *host;    /* to ask for; NULL: none */
	const char *ciphers; /* of TLS 1.2; NULL: the usual ones */
	const char *suites;  /* of TLS 1.3 */
	const char *groups, *algorithms;
	size_t octets; /* sent, and awaited back */
	bool resume;   /* the session of the one before */
	/* what came of it */
	bool connected, resumed, same, notified;
	int version, error;
	char subject[100], cipher[64], peer_kind[16], group[32];
	unsigned char exporter[32], end_point[32];
} client;
static int client_fd;
static SSL_SESSION *client_session;
static pthread_t client_thread;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(client_session);
	client_session = session;
	return 1;
}

static SSL_CTX *client_context(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(c, 0);
	SSL_CTX_set_min_proto_version(c, client.least);
	SSL_CTX_set_max_proto_version(c, client.most);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, keep_session);
	if (client.ciphers)
		SSL_CTX_set_cipher_list(c, client.ciphers);
	if (client.suites)
		SSL_CTX_set_ciphersuites(c, client.suites);
	if (client.groups)
		SSL_CTX_set1_groups_list(c, client.groups);
	if (client.algorithms)
		SSL_CTX_set1_sigalgs_list(c, client.algorithms);
	return c;
}

static void client_facts(SSL *ssl)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	client.connected = true;
	client.version = SSL_version(ssl);
	client.resumed = SSL_session_reused(ssl);
	snprintf(client.cipher, sizeof(client.cipher), "%s", SSL_get_cipher_name(ssl));
	if (x) {
		X509_digest(x, EVP_sha256(), client.end_point, NULL);
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, client.subject,
					  sizeof(client.subject));
		snprintf(client.peer_kind, sizeof(client.peer_kind), "%s",
			 EVP_PKEY_get0_type_name(X509_get0_pubkey(x)));
	}
	SSL_export_keying_material(ssl, client.exporter, 32, "EXPORTER-Channel-Binding", 24,
				   (const unsigned char *)"", 0, 1);
}

/* Sends some, reads as many. */
static bool client_echo(SSL *ssl)
{
	static char out[16384], in[16384];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + 1);
	for (size_t sent = 0; sent < client.octets;) {
		size_t n = client.octets - sent, got = 0;
		n = n < sizeof(out) ? n : sizeof(out);
		if (SSL_write(ssl, out, (int)n) != (int)n)
			return false;
		for (int r; got < n; got += (size_t)r)
			if ((r = SSL_read(ssl, in + got, (int)(n - got))) <= 0)
				return false;
		if (memcmp(in, out, n) != 0)
			return false;
		sent += n;
	}
	return true;
}

/* Of TLS 1.2 OpenSSL does not tell when a ticket was renewed. */
static void client_part(SSL *ssl)
{
	SSL_SESSION *session = SSL_get0_session(ssl);
	if (client.version == TLS1_2_VERSION && SSL_SESSION_is_resumable(session)) {
		SSL_SESSION_up_ref(session);
		keep_session(ssl, session);
	}
	SSL_shutdown(ssl);
}

static void *client_run(void *arg)
{
	SSL_CTX *c = client_context();
	SSL *ssl = SSL_new(c);
	(void)arg;
	SSL_set_fd(ssl, client_fd);
	if (client.host)
		SSL_set_tlsext_host_name(ssl, client.host);
	if (client.resume && client_session)
		SSL_set_session(ssl, client_session);
	if (SSL_connect(ssl) == 1) {
		client_facts(ssl);
		client.same = client_echo(ssl);
		client_part(ssl);
	} else {
		client.error = ERR_GET_REASON(ERR_peek_error());
	}
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(c);
	close(client_fd);
	return NULL;
}

/* Runs one connection of `client` from its beginning to its end. */
static inline void converse(struct tls_server *t)
{
	client_fd = serve(t);
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
}
