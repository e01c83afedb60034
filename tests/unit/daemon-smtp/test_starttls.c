/*
 * STARTTLS where it is offered (RFC 3207), and what happens where it does not work: mail goes
 * without, as it would have gone.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/unit/daemon-smtp/house.h"

#include "tests/unit/daemon-smtp/expect.h"

#define TLS_HELLO GREETING ">250-mx.test\n>250-CHUNKING\n>250-PIPELINING\n>250 STARTTLS\n"
#define START	  TLS_HELLO "<STARTTLS\n>220 go\n"
#define SECURED	  START "T\n<EHLO us.test\n>250-mx.test\n>250 PIPELINING\n*"
#define PLAIN	  TLS_HELLO "*"

static SSL_CTX *context;

static ssize_t secure_read(struct talk *t, void *to, size_t n)
{
	return SSL_read(t->tls, to, (int)n);
}

static ssize_t secure_write(struct talk *t, const void *from, size_t n)
{
	return SSL_write(t->tls, from, (int)n);
}

static void secure_end(struct talk *t)
{
	SSL_free(t->tls);
}

static void handshake(struct talk *t)
{
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, t->fd);
	if (SSL_accept(ssl) != 1) {
		SSL_free(ssl);
		return;
	}
	t->tls = ssl;
	t->read = secure_read;
	t->write = secure_write;
	t->end = secure_end;
}

static void make_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	context = SSL_CTX_new(TLS_server_method());
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	ck_assert_int_eq(SSL_CTX_use_certificate(context, x), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
	server_handshake = handshake;
}

static void setup(void)
{
	house_begin();
	make_context(); /* ours alone: the daemon has warmed its own library */
}

static void teardown(void)
{
	house_end();
	SSL_CTX_free(context);
}

static void deliver(uint64_t message, unsigned servers_count)
{
	struct job_start m = job_of(message, hops(servers_count));
	start(&m);
	run_until_outcomes(message);
}

START_TEST(mail_goes_encrypted_where_it_can)
{
	server_start(0, SECURED);
	for (uint64_t i = 1; i <= 10; i++) {
		deliver(i, 1);
		expect("tls", &outcomes[i - 1], "1 250 2.6.0 - 1 taken");
		ck_assert(outcomes[i - 1].tls);
	}
	ck_assert_uint_eq(servers[0].connections, 1);
	/* S8: what was offered before is forgotten */
	ck_assert(server_heard(0, "STARTTLS\r\nEHLO us.test\r\nMAIL FROM:<s@a.test>\r\n"));
	ck_assert(server_heard(0, "DATA\r\n"));
	ck_assert(!server_heard(0, "BDAT"));
	run_until_heard(0, "QUIT");
}
END_TEST

START_TEST(a_second_session_goes_encrypted_too)
{
	server_start(0, SECURED);
	deliver(1, 1);
	run_until_heard(0, "QUIT");
	deliver(2, 1);
	ck_assert(outcomes[1].tls);
	ck_assert_uint_eq(servers[0].connections, 2);
}
END_TEST

static const char *const failures[] = {
    START ",1\n>220 I can't really\n&",
    START,
    START "!",
};

START_TEST(where_the_handshake_fails_it_goes_without)
{
	server_start(0, failures[_i]);
	servers[0].scripts[1] = PLAIN;
	server_start(1, GOOD);
	deliver(1, 2);
	expect("without", &outcomes[0], "1 250 2.6.0 - 1 taken");
	ck_assert(!outcomes[0].tls);
	run_until_heard(0, "QUIT");
	deliver(2, 2); /* and is not tried again for a while */
	expect("without", &outcomes[1], "1 250 2.6.0 - 1 taken");
	ck_assert_uint_eq(servers[0].connections, 3);
}
END_TEST

START_TEST(a_refusal_of_starttls_is_no_trouble)
{
	server_start(0, TLS_HELLO "<STARTTLS\n>454 4.7.0 not now\n*");
	deliver(1, 1);
	expect("refused", &outcomes[0], "1 250 2.6.0 - 1 taken");
	ck_assert(!outcomes[0].tls);
}
END_TEST

START_TEST(S8_octets_behind_the_reply_to_starttls_are_an_attack)
{
	server_start(0, TLS_HELLO "<STARTTLS\n=220 go|250 injected|\n&");
	deliver(1, 1);
	expect("injected", &outcomes[0],
	       "2 451 4.4.2 site 0 octets between STARTTLS and the handshake while");
}
END_TEST

START_TEST(a_server_that_dies_in_the_middle_is_as_dead_as_another)
{
	server_start(0,
		     START "T\n<EHLO us.test\n>250-mx.test\n>250 PIPELINING\n<MAIL\n<RCPT\n<DATA\n"
			   ">250 ok\n>250 ok\n>354 go\n.\n");
	deliver(1, 1);
	expect("dies", &outcomes[0], "2 451 4.4.2 site 0 lost connection after the content");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("starttls");
	TCase *t = tcase_create("starttls");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 40);
	tcase_add_test(t, mail_goes_encrypted_where_it_can);
	tcase_add_test(t, a_second_session_goes_encrypted_too);
	tcase_add_loop_test(t, where_the_handshake_fails_it_goes_without, 0,
			    sizeof(failures) / sizeof(failures[0]));
	tcase_add_test(t, a_refusal_of_starttls_is_no_trouble);
	tcase_add_test(t, S8_octets_behind_the_reply_to_starttls_are_an_attack);
	tcase_add_test(t, a_server_that_dies_in_the_middle_is_as_dead_as_another);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
