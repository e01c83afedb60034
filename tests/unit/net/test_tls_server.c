/*
 * The server's side of TLS as clients of OpenSSL see it: versions, ciphers, keys, names, sessions.
 */
#include "tests/unit/net/tls_peers.h"

static struct tls_server *server;
static struct tls_certificate *certificates[4];
static size_t certificates_count;

static void have(const char *kind, const char *common, const char *alternative)
{
	certificates[certificates_count++] = certified(kind, common, alternative);
}

static void serves(unsigned minimum)
{
	server = server_made("smtpd", minimum, certificates, certificates_count);
}

static void setup(void)
{
	mood = LATER;
	client = (struct client){.octets = 100};
}

static void teardown(void)
{
	tls_server_free(&server);
	while (certificates_count > 0)
		tls_certificate_free(&certificates[--certificates_count]);
	signer_end();
	SSL_SESSION_free(client_session);
	client_session = NULL;
}

START_TEST(signs_with_every_kind_of_key_in_both_versions)
{
	static const struct {
		const char *kind;
		int version;
		unsigned scheme;
	} cases[] = {
	    {"RSA", TLS1_2_VERSION, 0x0804},	 {"RSA", TLS1_3_VERSION, 0x0804},
	    {"P-256", TLS1_2_VERSION, 0x0403},	 {"P-256", TLS1_3_VERSION, 0x0403},
	    {"P-384", TLS1_2_VERSION, 0x0403},	 {"P-384", TLS1_3_VERSION, 0x0503},
	    {"P-521", TLS1_2_VERSION, 0x0403},	 {"P-521", TLS1_3_VERSION, 0x0603},
	    {"ED25519", TLS1_2_VERSION, 0x0807}, {"ED25519", TLS1_3_VERSION, 0x0807},
	};
	have(cases[_i].kind, "mx", NULL);
	serves(12);
	client.least = client.most = cases[_i].version;
	converse(server);
	ck_assert_msg(client.connected, "%s, error %d", fault, client.error);
	ck_assert(client.same);
	ck_assert_int_eq(reason, STREAM_CLOSED);
	ck_assert_int_eq(client.version, cases[_i].version);
	ck_assert_uint_eq(last_scheme, cases[_i].scheme);
	ck_assert_int_eq(last_purpose,
			 client.version == TLS1_3_VERSION ? TLS_SIGN_13 : TLS_SIGN_12);
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(the_text_to_be_signed_is_handed_over_whole)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	have("P-256", "mx", NULL);
	serves(12);
	client.most = client.least = TLS1_3_VERSION;
	converse(server);
	for (size_t i = 0; i < 64; i++) /* RFC 8446 4.4.3 */
		ck_assert_int_eq(last_text[i], ' ');
	ck_assert_mem_eq(last_text + 64, context, sizeof(context));
	ck_assert(last_text_len == 64 + sizeof(context) + 32 ||
		  last_text_len == 64 + sizeof(context) + 48);
	client.most = client.least = TLS1_2_VERSION;
	client.groups = "P-256";
	converse(server);
	/* RFC 8422 5.4: randoms, named_curve, secp256r1, a point */
	ck_assert_uint_eq(last_text_len, 32 + 32 + 4 + 65);
	ck_assert_mem_eq(last_text + 64, "\x03\x00\x17\x41\x04", 5);
}
END_TEST

START_TEST(an_rsa_key_signs_pkcs1_where_the_client_knows_no_more)
{
	have("RSA", "mx", NULL);
	serves(12);
	client.most = TLS1_2_VERSION;
	client.algorithms = "RSA+SHA384";
	converse(server);
	ck_assert_msg(client.same, "%s", fault);
	ck_assert_uint_eq(last_scheme, 0x0501);
}
END_TEST

START_TEST(octets_go_both_ways_whatever_their_number)
{
	static const size_t sizes[] = {1, 16384, 16385, FLOOD};
	have("P-256", "mx", NULL);
	serves(12);
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		client.most = client.least = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
		client.octets = sizes[i / 2];
		converse(server);
		ck_assert_msg(client.same, "%zu octets", client.octets);
		ck_assert_int_eq(reason, STREAM_CLOSED);
	}
}
END_TEST

START_TEST(old_versions_are_refused)
{
	have("RSA", "mx", NULL);
	serves(12);
	client.least = TLS1_VERSION;
	client.most = _i;
	client.ciphers = "ALL:@SECLEVEL=0";
	converse(server);
	ck_assert(!client.connected && !secured);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert_str_eq(fault, "unsupported protocol");
}
END_TEST

START_TEST(tls_1_2_is_refused_where_1_3_is_the_minimum)
{
	have("P-256", "mx", NULL);
	serves(13);
	client.most = TLS1_2_VERSION;
	converse(server);
	ck_assert(!client.connected);
	client.most = 0;
	converse(server);
	ck_assert(client.same);
}
END_TEST

START_TEST(weak_ciphers_are_refused)
{
	static const char *const weak[] = {
	    "AES128-GCM-SHA256",	   /* no forward secrecy */
	    "ECDHE-RSA-AES128-SHA256",	   /* CBC */
	    "ECDHE-RSA-AES256-SHA",	   /* CBC */
	    "DHE-RSA-AES128-GCM-SHA256",   /* groups of who knows whom */
	    "AECDH-AES128-SHA:@SECLEVEL=0" /* nobody's certificate */
	};
	have("RSA", "mx", NULL);
	serves(12);
	client.most = TLS1_2_VERSION;
	client.ciphers = weak[_i];
	converse(server);
	ck_assert(!client.connected);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert_str_eq(fault, "no shared cipher");
}
END_TEST

START_TEST(every_good_cipher_is_spoken)
{
	static const struct {
		const char *cipher;
		const char *kind;
		unsigned bits;
	} good[] = {
	    {"ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", 128},
	    {"ECDHE-ECDSA-AES256-GCM-SHA384", "P-256", 256},
	    {"ECDHE-ECDSA-CHACHA20-POLY1305", "P-256", 256},
	    {"ECDHE-RSA-AES128-GCM-SHA256", "RSA", 128},
	    {"ECDHE-RSA-AES256-GCM-SHA384", "RSA", 256},
	    {"ECDHE-RSA-CHACHA20-POLY1305", "RSA", 256},
	    {"TLS_AES_128_GCM_SHA256", "P-256", 128},
	    {"TLS_AES_256_GCM_SHA384", "P-256", 256},
	    {"TLS_CHACHA20_POLY1305_SHA256", "P-256", 256},
	};
	bool new = strncmp(good[_i].cipher, "TLS_", 4) == 0;
	have(good[_i].kind, "mx", NULL);
	serves(12);
	client.most = client.least = new ? TLS1_3_VERSION : TLS1_2_VERSION;
	client.ciphers = new ? NULL : good[_i].cipher;
	client.suites = new ? good[_i].cipher : NULL;
	converse(server);
	ck_assert_msg(client.same, "%s", fault);
	ck_assert_str_eq(client.cipher, good[_i].cipher);
	ck_assert_str_eq(facts.cipher, good[_i].cipher);
	ck_assert_uint_eq(facts.bits, good[_i].bits);
	ck_assert_str_eq(facts.version, new ? "TLSv1.3" : "TLSv1.2");
}
END_TEST

START_TEST(groups_are_the_usual_ones)
{
	static const char *const groups[] = {"X25519", "P-256", "P-384", "P-521"};
	have("P-256", "mx", NULL);
	serves(12);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		client.groups = groups[i];
		converse(server);
		ck_assert_msg(client.same, "%s: %s", groups[i], fault);
	}
	client.connected = false;
	client.groups = "ffdhe2048";
	converse(server);
	ck_assert(!client.connected);
}
END_TEST

START_TEST(the_certificate_is_for_the_host_that_is_asked_for)
{
	static const struct {
		const char *host, *subject;
	} cases[] = {
	    {NULL, "first"},
	    {"unknown.example", "first"},
	    {"mx.example", "mx"},
	    {"MX.example", "mx"},
	    {"a.mail.example", "mail"},
	    {"a.b.mail.example", "first"},
	    {"exact.mail.example", "mx"},
	    {"mail.example", "first"},
	};
	have("P-256", "first", "DNS:first.example");
	have("P-256", "mx", "DNS:mx.example,DNS:exact.mail.example");
	have("P-256", "mail", "DNS:*.mail.example");
	serves(12);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		client.most = client.least = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
		client.host = cases[i / 2].host;
		converse(server);
		ck_assert_str_eq(client.subject, cases[i / 2].subject);
		ck_assert_str_eq(facts.host, client.host ? client.host : "");
	}
}
END_TEST

START_TEST(a_host_may_have_keys_of_several_kinds)
{
	have("RSA", "rsa", "DNS:mx.example");
	have("P-256", "ec", "DNS:mx.example");
	have("ED25519", "ed", "DNS:mx.example");
	serves(12);
	for (int i = 0; i < 4; i++) {
		client.host = i % 2 ? "mx.example" : NULL;
		client.most = client.least = i / 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
		client.algorithms = "RSA-PSS+SHA256";
		converse(server);
		ck_assert_str_eq(client.subject, "rsa");
		client.algorithms = "ECDSA+SHA256";
		converse(server);
		ck_assert_str_eq(client.subject, "ec");
		client.algorithms = "ed25519:RSA-PSS+SHA256";
		converse(server);
		ck_assert_str_eq(client.subject, "ed");
	}
}
END_TEST

START_TEST(new_certificates_are_for_new_connections)
{
	struct error e;
	have("P-256", "old", NULL);
	have("RSA", "new", NULL);
	server = server_made("smtpd", 12, certificates, 1);
	int fd = serve(server);
	ck_assert(tls_server_use(server, 12, certificates + 1, 1, &e));
	client_fd = fd;
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
	ck_assert_str_eq(client.subject, "old");
	converse(server);
	ck_assert_str_eq(client.subject, "new");
}
END_TEST

START_TEST(without_certificates_nothing_starts)
{
	struct error e;
	int fds[2];
	server = tls_server_new("smtpd", &signer, &e);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	served = stream_open(fds[0], &served_kind, NULL);
	ck_assert(!tls_server_start(server, served));
	ck_assert(!tls_server_use(server, 12, certificates, 0, &e));
	ck_assert_int_eq(e.code, 65);
	stream_free(&served);
	close(fds[1]);
}
END_TEST

/* Sessions */

static unsigned char ticket_name[3][TLS_TICKET_NAME_SIZE] = {"one", "two", "three"};
static unsigned char ticket_secret[3][TLS_TICKET_SECRET_SIZE] = {"first", "second", "third"};

static void tickets(struct tls_server *t, int now, int before)
{
	tls_server_tickets(t, ticket_name[now], ticket_secret[now],
			   before < 0 ? NULL : ticket_name[before],
			   before < 0 ? NULL : ticket_secret[before]);
}

static bool resumes(struct tls_server *t)
{
	size_t before = asked;
	client.resume = true;
	client.connected = client.same = false;
	converse(t);
	ck_assert_msg(client.same, "%s", fault);
	ck_assert_int_eq(facts.resumed, client.resumed);
	ck_assert_uint_eq(asked - before, client.resumed ? 0 : 1);
	return client.resumed;
}

START_TEST(a_session_is_resumed_in_every_process_of_the_service)
{
	have("P-256", "mx", NULL);
	serves(12);
	struct tls_server *second = server_made("smtpd", 12, certificates, 1);
	client.least = client.most = _i;
	client.host = "mx.example";
	tickets(server, 0, -1);
	tickets(second, 0, -1);
	ck_assert(!resumes(server));
	ck_assert(resumes(server));
	ck_assert(resumes(second));
	ck_assert(resumes(server));
	ck_assert_str_eq(facts.host, "mx.example");
	tls_server_free(&second);
}
END_TEST

START_TEST(a_session_of_another_service_is_not_resumed)
{
	have("P-256", "mx", NULL);
	serves(12);
	struct tls_server *other = server_made("submission", 12, certificates, 1);
	client.least = client.most = _i;
	tickets(server, 0, -1);
	tickets(other, 0, -1); /* even with its keys */
	ck_assert(!resumes(server));
	ck_assert(!resumes(other));
	ck_assert(!resumes(server));
	tickets(server, 1, -1);
	ck_assert(!resumes(server));
	tls_server_free(&other);
}
END_TEST

START_TEST(the_ticket_key_before_still_opens)
{
	have("P-256", "mx", NULL);
	serves(12);
	client.least = client.most = _i;
	tickets(server, 0, -1);
	ck_assert(!resumes(server));
	tickets(server, 1, 0);
	ck_assert(resumes(server)); /* and gets one under the new key */
	tickets(server, 2, 1);
	ck_assert(resumes(server));
	tickets(server, 1, 0);
	ck_assert(!resumes(server));
}
END_TEST

START_TEST(without_ticket_keys_nothing_is_resumed)
{
	have("P-256", "mx", NULL);
	serves(12);
	client.least = client.most = _i;
	ck_assert(!resumes(server));
	ck_assert(!resumes(server));
	ck_assert_ptr_null(client_session);
}
END_TEST

/* Channel bindings */

static unsigned char bound[TLS_BINDING_MAX];
static size_t exporter_len, end_point_len, unknown_len;
static unsigned char end_point[TLS_BINDING_MAX], unknown[TLS_BINDING_MAX];

static void secured_and_bound(struct stream *s)
{
	on_secured(s);
	exporter_len = tls_server_binding(s, "tls-exporter", bound);
	end_point_len = tls_server_binding(s, "tls-server-end-point", end_point);
	unknown_len = tls_server_binding(s, "tls-unique", unknown);
}

START_TEST(both_ends_have_the_same_channel_bindings)
{
	static const struct stream_kind kind = {16384,	FLOOD, on_input,
						on_end, NULL,  secured_and_bound};
	int fds[2];
	have("P-256", "mx", NULL);
	serves(12);
	client.least = client.most = _i;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	served = stream_open(fds[0], &kind, NULL);
	ck_assert(tls_server_start(server, served));
	client_fd = fds[1];
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
	ck_assert_uint_eq(exporter_len, 32);
	ck_assert_mem_eq(bound, client.exporter, 32);
	ck_assert_uint_eq(end_point_len, 32);
	ck_assert_mem_eq(end_point, client.end_point, 32);
	ck_assert_uint_eq(unknown_len, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_server");
	TCase *t = tcase_create("tls_server");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, signs_with_every_kind_of_key_in_both_versions, 0, 10);
	tcase_add_test(t, the_text_to_be_signed_is_handed_over_whole);
	tcase_add_test(t, an_rsa_key_signs_pkcs1_where_the_client_knows_no_more);
	tcase_add_test(t, octets_go_both_ways_whatever_their_number);
	tcase_add_loop_test(t, old_versions_are_refused, TLS1_VERSION, TLS1_1_VERSION + 1);
	tcase_add_test(t, tls_1_2_is_refused_where_1_3_is_the_minimum);
	tcase_add_loop_test(t, weak_ciphers_are_refused, 0, 5);
	tcase_add_loop_test(t, every_good_cipher_is_spoken, 0, 9);
	tcase_add_test(t, groups_are_the_usual_ones);
	tcase_add_test(t, the_certificate_is_for_the_host_that_is_asked_for);
	tcase_add_test(t, a_host_may_have_keys_of_several_kinds);
	tcase_add_test(t, new_certificates_are_for_new_connections);
	tcase_add_test(t, without_certificates_nothing_starts);
	tcase_add_loop_test(t, a_session_is_resumed_in_every_process_of_the_service, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_loop_test(t, a_session_of_another_service_is_not_resumed, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_loop_test(t, the_ticket_key_before_still_opens, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_loop_test(t, without_ticket_keys_nothing_is_resumed, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_loop_test(t, both_ends_have_the_same_channel_bindings, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
