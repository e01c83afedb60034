/*
 * TLS as a stream's transport, against a server of OpenSSL in a thread of its own.
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "common/net/tls_client.h"
#include "tests/unit/net/turns.h"

enum { FLOOD = 3 * 1024 * 1024 };

static struct tls_client *client;
static struct stream *stream;
static int server_fd;
static SSL_CTX *server;
static pthread_t thread;
static char name_heard[TLS_NAME_MAX + 1];
static bool secured, ended, got, resumed;
static enum stream_end reason;
static size_t octets, wanted, served;
static char octets_sent[FLOOD];

static void input(struct stream *s)
{
	octets += stream_input(s).len;
	stream_consume(s, stream_input(s).len);
	got = octets >= wanted;
}

static void on_end(struct stream *s, enum stream_end why)
{
	(void)s;
	ended = true;
	reason = why;
}

static void on_secured(struct stream *s)
{
	(void)s;
	secured = true;
}

static const struct stream_kind kind = {1000, 4 * FLOOD, input, on_end, NULL, on_secured};

static SSL_CTX *server_new(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)"mx", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	ck_assert_int_eq(SSL_CTX_use_certificate(c, x), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(c, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
	return c;
}

/* Reads `served` octets, sends as many back, ends. */
static void *serve(void *arg)
{
	SSL *ssl = SSL_new(server);
	static char some[16000];
	size_t n = 0;
	(void)arg;
	SSL_set_fd(ssl, server_fd);
	if (SSL_accept(ssl) == 1) {
		const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		snprintf(name_heard, sizeof(name_heard), "%s", name ? name : "");
		resumed = SSL_session_reused(ssl);
		for (int r; n < served && (r = SSL_read(ssl, some, sizeof(some))) > 0;)
			n += (size_t)r;
		for (int r; n > 0; n -= (size_t)r)
			if ((r = SSL_write(ssl, some, (int)(n < 16000 ? n : 16000))) <= 0)
				break;
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(server_fd);
	return NULL;
}

static void begin(const char *host)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	server_fd = fds[1];
	secured = ended = got = false;
	octets = 0;
	stream = stream_open(fds[0], &kind, NULL);
	ck_assert(tls_client_start(client, stream, slice_str(host), SLICE("192.0.2.1:25")));
}

static void converse(const char *host, size_t n)
{
	served = wanted = n;
	begin(host);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	ck_assert(stream_send(stream, slice_make(octets_sent, n)));
	run_until(&got);
	ck_assert(secured);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_CLOSED);
	ck_assert_uint_eq(octets, n);
	stream_free(&stream);
	pthread_join(thread, NULL);
}

static void setup(void)
{
	struct error e;
	client = tls_client_new(&e);
	ck_assert_msg(client != NULL, "%s", e.text);
	server = server_new();
}

static void teardown(void)
{
	stream_free(&stream);
	tls_client_free(&client);
	SSL_CTX_free(server);
}

START_TEST(octets_go_both_ways_whatever_their_number)
{
	static const size_t sizes[] = {1, 1000, 16384, 16385, FLOOD};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		converse("mx.example.org", sizes[i]);
	ck_assert_str_eq(name_heard, "mx.example.org");
}
END_TEST

START_TEST(no_address_is_sent_as_a_name)
{
	converse("192.0.2.1", 10);
	ck_assert_str_eq(name_heard, "");
}
END_TEST

START_TEST(the_second_session_with_a_server_is_resumed)
{
	SSL_CTX_set_max_proto_version(server, _i);
	converse("mx.example.org", 10);
	ck_assert(!resumed);
	converse("mx.example.org", 10);
	ck_assert(resumed);
	converse("other.example.org", 10);
	ck_assert(!resumed);
}
END_TEST

START_TEST(a_server_that_speaks_no_tls_ends_it)
{
	begin("mx");
	ck_assert_int_eq(write(server_fd, "250 hello, I am no TLS\r\n", 24), 24);
	run_until(&ended);
	ck_assert(!secured);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert_str_eq(stream_fault(stream), "wrong version number");
	close(server_fd);
}
END_TEST

START_TEST(a_server_that_goes_away_ends_it)
{
	begin("mx");
	close(server_fd);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert_str_ne(stream_fault(stream), "");
}
END_TEST

START_TEST(tls_below_1_2_is_refused)
{
	SSL_CTX_set_security_level(server, 0);
	SSL_CTX_set_min_proto_version(server, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
	begin("mx");
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	stream_free(&stream);
	pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_client");
	TCase *t = tcase_create("tls");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, octets_go_both_ways_whatever_their_number);
	tcase_add_test(t, no_address_is_sent_as_a_name);
	tcase_add_loop_test(t, the_second_session_with_a_server_is_resumed, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_test(t, a_server_that_speaks_no_tls_ends_it);
	tcase_add_test(t, a_server_that_goes_away_ends_it);
	tcase_add_test(t, tls_below_1_2_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
