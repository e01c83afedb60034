/*
 * Clients that mean no good, or are slow: what they send is refused or bounded, and no turn of the
 * loop is wasted on them.
 */
#include "tests/unit/net/tls_peers.h"

static struct tls_server *server;
static struct tls_certificate *certificate;
static unsigned turns;
static struct loop_turn counter;

static bool turned;

static void count_turn(void *arg)
{
	(void)arg;
	turned = ++turns >= 2; /* the first end is before the loop has looked */
}

static void setup(void)
{
	certificate = certified("P-256", "mx", NULL);
	server = server_made("smtpd", 12, &certificate, 1);
	client = (struct client){.octets = 100};
	mood = LATER;
	loop_turn_add(&counter, count_turn, NULL);
}

static void teardown(void)
{
	loop_turn_remove(&counter);
	stream_free(&served);
	tls_server_free(&server);
	tls_certificate_free(&certificate);
	signer_end();
	SSL_SESSION_free(client_session);
}

/* A client on this thread; its socket does not block. */
static SSL *raw(int fd, int version)
{
	client.least = client.most = version;
	SSL_CTX *c = client_context();
	SSL *ssl = SSL_new(c);
	SSL_CTX_free(c);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	return ssl;
}

static SSL *raw_connected(int version, int *fd)
{
	*fd = serve(server);
	SSL *ssl = raw(*fd, version);
	for (int i = 0; i < 1000 && (!secured || !SSL_is_init_finished(ssl)); i++) {
		(void)SSL_do_handshake(ssl);
		run_for(100);
	}
	ck_assert(secured && SSL_is_init_finished(ssl));
	return ssl;
}

static void raw_end(SSL *ssl, int fd)
{
	SSL_free(ssl);
	close(fd);
}

START_TEST(a_client_that_says_nothing_ends_by_its_deadline)
{
	unsigned char binding[TLS_BINDING_MAX];
	int fd = serve(server);
	stream_deadline(served, 20000);
	tls_server_facts(served, &facts);
	ck_assert_str_eq(facts.version, "");
	ck_assert_uint_eq(tls_server_binding(served, "tls-exporter", binding), 0);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_LATE);
	close(fd);
}
END_TEST

/* RFC 5246 7.4.1.2: the first octets of a hello, then one more each millisecond. */
START_TEST(octets_of_a_handshake_do_not_move_its_deadline)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	int fd = serve(server);
	stream_deadline(served, 30000);
	ck_assert_int_gt(write(fd, hello, sizeof(hello) - 1), 0);
	for (int i = 0; i < 400 && !ended; i++) {
		(void)send(fd, "x", 1, MSG_NOSIGNAL);
		run_for(1000);
	}
	ck_assert(ended);
	ck_assert_int_eq(reason, STREAM_LATE);
	close(fd);
}
END_TEST

START_TEST(what_is_no_tls_is_refused)
{
	static const struct {
		const char *octets;
		size_t len;
		const char *fault;
	} cases[] = {
	    {"EHLO client.example\r\n", 21, "wrong version number"},
	    {"GET / HTTP/1.0\r\n\r\n", 18, "http request"},
	    {"\x16\x03\x01\xff\xff\x01", 6, "packet length too long"},
	    {"\x16\x03\x03\x00\x04\x01\xff\xff\xff", 9, "excessive message size"},
	    {"\x17\x03\x03\x00\x01x", 6, "unexpected message"},
	    {"\x15\x03\x03\x00\x02\x02\x28", 7, "unexpected message"},
	};
	int fd = serve(server);
	ck_assert_int_eq(write(fd, cases[_i].octets, cases[_i].len), (ssize_t)cases[_i].len);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert_str_eq(fault, cases[_i].fault);
	ck_assert_uint_eq(asked, 0);
	close(fd);
}
END_TEST

/* Passes octets on one at a time, both ways. */
static int proxy_near, proxy_far;

static void *proxy(void *arg)
{
	struct pollfd p[2] = {{proxy_near, POLLIN, 0}, {proxy_far, POLLIN, 0}};
	char c;
	(void)arg;
	while (poll(p, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			if (!p[i].revents)
				continue;
			if (read(p[i].fd, &c, 1) != 1 || send(p[!i].fd, &c, 1, MSG_NOSIGNAL) != 1) {
				close(proxy_near);
				close(proxy_far);
				return NULL;
			}
		}
	return NULL;
}

START_TEST(one_octet_at_a_time_will_do)
{
	int fds[2];
	pthread_t thread;
	client.least = client.most = _i;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	proxy_near = serve(server);
	proxy_far = fds[0];
	client_fd = fds[1];
	ck_assert_int_eq(pthread_create(&thread, NULL, proxy, NULL), 0);
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
	pthread_join(thread, NULL);
	ck_assert(client.same);
}
END_TEST

/* S8 */

static bool plain;
static char heard[100];

static void plain_input(struct stream *s)
{
	struct slice in = stream_input(s);
	if (!plain) {
		on_input(s);
		return;
	}
	size_t line = slice_find(in, '\n') + 1;
	ck_assert_uint_le(line, in.len);
	(void)slice_copy(slice_sub(in, 0, line), heard, sizeof(heard));
	stream_consume(s, line);
	(void)stream_send(s, SLICE("220 go on\r\n"));
	plain = false;
	ck_assert(tls_server_start(server, s));
}

static const struct stream_kind plain_kind = {16384, FLOOD, plain_input, on_end, NULL, on_secured};

static int serve_plain(void)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	plain = true;
	secured = ended = false;
	served = stream_open(fds[0], &plain_kind, NULL);
	return fds[1];
}

START_TEST(what_came_with_starttls_is_thrown_away) /* semantics S8, RFC 3207 4.2 */
{
	static const char injected[] = "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n";
	char answer[100];
	client_fd = serve_plain();
	ck_assert_int_eq(write(client_fd, injected, sizeof(injected) - 1), sizeof(injected) - 1);
	while (plain)
		run_for(100);
	ssize_t n = read(client_fd, answer, sizeof(answer));
	ck_assert_int_eq(n, 11);
	ck_assert_mem_eq(answer, "220 go on\r\n", 11);
	ck_assert_str_eq(heard, "STARTTLS\r\n");
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
	ck_assert(client.same); /* the echo has nothing but what was sent under TLS */
}
END_TEST

START_TEST(what_follows_starttls_in_plain_text_is_no_handshake)
{
	char answer[100];
	client_fd = serve_plain();
	ck_assert_int_eq(write(client_fd, "STARTTLS\r\n", 10), 10);
	while (plain)
		run_for(100);
	ck_assert_int_eq(write(client_fd, "MAIL FROM:<a@b.example>\r\n", 25), 25);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	ck_assert(!secured);
	ck_assert_int_eq(read(client_fd, answer, sizeof(answer)), 11);
	close(client_fd);
}
END_TEST

/* Even a hello that came too early: the client is one that did not wait for the answer. */
START_TEST(a_hello_in_the_same_packet_is_thrown_away)
{
	char packet[2000] = "STARTTLS\r\n";
	int fd = serve_plain();
	client.least = client.most = TLS1_3_VERSION;
	SSL *ssl = raw(fd, TLS1_3_VERSION);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	(void)SSL_do_handshake(ssl);
	int n = BIO_read(SSL_get_wbio(ssl), packet + 10, sizeof(packet) - 10);
	ck_assert_int_gt(n, 100);
	ck_assert_int_eq(write(fd, packet, 10 + (size_t)n), 10 + n);
	stream_deadline(served, 30000);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_LATE);
	ck_assert(!secured);
	raw_end(ssl, fd);
}
END_TEST

START_TEST(it_does_not_start_while_the_client_does_not_read)
{
	static char flood[512 * 1024];
	int fd = serve_plain();
	ck_assert(stream_send(served, slice_make(flood, sizeof(flood))));
	ck_assert(!tls_server_start(server, served));
	close(fd);
}
END_TEST

/* After the handshake */

START_TEST(renegotiation_is_refused)
{
	int fd;
	char c;
	SSL *ssl = raw_connected(TLS1_2_VERSION, &fd);
	size_t before = asked;
	ck_assert_int_eq(SSL_renegotiate(ssl), 1);
	for (int i = 0; i < 100 && !ended; i++) {
		(void)SSL_do_handshake(ssl);
		(void)SSL_read(ssl, &c, 1);
		run_for(100);
	}
	/* OpenSSL's client gives up when it gets the warning no_renegotiation (RFC 5246 7.2.2) */
	ck_assert(ended);
	ck_assert_str_eq(fault, "sslv3 alert handshake failure");
	ck_assert_uint_eq(asked, before);
	raw_end(ssl, fd);
}
END_TEST

START_TEST(key_updates_of_one_that_does_not_read_waste_no_turn)
{
	int fd;
	SSL *ssl = raw_connected(TLS1_3_VERSION, &fd);
	for (int i = 0, stuck = 0; i < 100000 && stuck < 20 && !ended; i++) {
		if (SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE)
			SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		if (SSL_do_handshake(ssl) <= 0) {
			stuck++;
			run_for(1000);
		} else {
			stuck = 0;
		}
	}
	run_for(20000);
	turns = 0;
	run_for(50000);
	ck_assert_uint_lt(turns, 100);
	raw_end(ssl, fd);
}
END_TEST

/* So many key updates and one octet, in one piece. */
static void send_updates(SSL *ssl, int fd, int count)
{
	static char flood[100000];
	int n = 0;
	BIO *memory = BIO_new(BIO_s_mem());
	SSL_set0_wbio(ssl, memory);
	for (int i = 0; i < count; i++) {
		SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		ck_assert_int_eq(SSL_do_handshake(ssl), 1);
	}
	ck_assert_int_eq(SSL_write(ssl, "x", 1), 1);
	while (BIO_pending(memory) > 0) {
		ck_assert_int_lt(n, (int)sizeof(flood));
		n += BIO_read(memory, flood + n, (int)sizeof(flood) - n);
	}
	ck_assert_int_eq(write(fd, flood, (size_t)n), n);
}

/* Else one client that is fast enough has the loop for itself. */
START_TEST(a_large_hello_has_its_share_of_a_turn)
{
	enum { RECORDS = 9, RECORD = 16000 }; /* no more than OpenSSL takes, 131,396 octets */
	static char octets[RECORDS * (RECORD + 5)];
	static const unsigned char header[] = {1, 0x01, 0xff, 0xff};
	unsigned pieces = 0;
	int fd = serve(server);
	for (size_t i = 0; i < RECORDS; i++)
		memcpy(octets + i * (RECORD + 5), "\x16\x03\x01\x3e\x80", 5);
	memcpy(octets + 5, header, sizeof(header));
	ck_assert_int_eq(write(fd, octets, sizeof(octets)), (ssize_t)sizeof(octets));
	for (; !ended && pieces < 100; pieces++) {
		turns = 0;
		turned = false;
		run_until(&turned);
	}
	ck_assert_uint_ge(pieces, RECORDS - 1);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	close(fd);
}
END_TEST

START_TEST(too_many_key_updates_end_it)
{
	int fd;
	SSL *ssl = raw_connected(TLS1_3_VERSION, &fd);
	send_updates(ssl, fd, 2000);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_BROKEN);
	ck_assert_str_eq(fault, "too many handshake messages");
	ck_assert_uint_eq(stream_received(served), 0);
	raw_end(ssl, fd);
}
END_TEST

START_TEST(key_updates_are_followed)
{
	int fd;
	char back[6] = "";
	SSL *ssl = raw_connected(TLS1_3_VERSION, &fd);
	for (int i = 0; i < 50; i++) {
		SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		ck_assert_int_eq(SSL_do_handshake(ssl), 1);
		ck_assert_int_eq(SSL_write(ssl, "hello", 5), 5);
		int n = 0;
		for (int k = 0; k < 1000 && n <= 0; k++) {
			run_for(100);
			n = SSL_read(ssl, back, 5);
		}
		ck_assert_int_eq(n, 5);
		ck_assert_str_eq(back, "hello");
	}
	ck_assert(!ended);
	raw_end(ssl, fd);
}
END_TEST

START_TEST(the_end_is_told_under_tls_both_ways)
{
	int fd;
	char c;
	SSL *ssl = raw_connected(_i, &fd);
	ck_assert_int_eq(SSL_write(ssl, "x", 1), 1);
	SSL_shutdown(ssl);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_CLOSED);
	stream_finish(&served);
	int got = 0, n = 0;
	for (int i = 0; i < 1000; i++) {
		run_for(100);
		n = SSL_read(ssl, &c, 1);
		got += n > 0 ? n : 0;
		if (n <= 0 && SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
			break;
	}
	ck_assert_int_eq(got, 1);
	ck_assert_int_eq(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN); /* close_notify */
	raw_end(ssl, fd);
}
END_TEST

START_TEST(octets_that_were_changed_on_the_way_end_it)
{
	int fd;
	SSL *ssl = raw_connected(_i, &fd);
	BIO *memory = BIO_new(BIO_s_mem());
	char record[100];
	BIO_up_ref(memory);
	SSL_set0_wbio(ssl, memory);
	ck_assert_int_eq(SSL_write(ssl, "hello", 5), 5);
	int n = BIO_read(memory, record, sizeof(record));
	record[n - 1] ^= 1;
	ck_assert_int_eq(write(fd, record, (size_t)n), n);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_BROKEN);
	ck_assert_str_eq(fault, _i == TLS1_3_VERSION ? "decryption failed or bad record mac"
						     : "cipher operation failed");
	BIO_free(memory);
	raw_end(ssl, fd);
}
END_TEST

/* RFC 9266 2: without the extended master secret another connection may have the same one. */
START_TEST(tls_1_2_without_ems_has_no_exporter_binding)
{
	unsigned char binding[TLS_BINDING_MAX];
	int fd = serve(server);
	SSL *ssl = raw(fd, TLS1_2_VERSION);
	SSL_set_options(ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	for (int i = 0; i < 1000 && !secured; i++) {
		(void)SSL_do_handshake(ssl);
		run_for(100);
	}
	ck_assert(secured);
	ck_assert_uint_eq(tls_server_binding(served, "tls-exporter", binding), 0);
	ck_assert_uint_eq(tls_server_binding(served, "tls-server-end-point", binding), 32);
	raw_end(ssl, fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_trouble");
	TCase *t = tcase_create("tls_trouble");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_client_that_says_nothing_ends_by_its_deadline);
	tcase_add_test(t, octets_of_a_handshake_do_not_move_its_deadline);
	tcase_add_loop_test(t, what_is_no_tls_is_refused, 0, 6);
	tcase_add_loop_test(t, one_octet_at_a_time_will_do, TLS1_2_VERSION, TLS1_3_VERSION + 1);
	tcase_add_test(t, what_came_with_starttls_is_thrown_away);
	tcase_add_test(t, what_follows_starttls_in_plain_text_is_no_handshake);
	tcase_add_test(t, a_hello_in_the_same_packet_is_thrown_away);
	tcase_add_test(t, it_does_not_start_while_the_client_does_not_read);
	tcase_add_test(t, renegotiation_is_refused);
	tcase_add_test(t, key_updates_of_one_that_does_not_read_waste_no_turn);
	tcase_add_test(t, a_large_hello_has_its_share_of_a_turn);
	tcase_add_test(t, too_many_key_updates_end_it);
	tcase_add_test(t, key_updates_are_followed);
	tcase_add_loop_test(t, the_end_is_told_under_tls_both_ways, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_loop_test(t, octets_that_were_changed_on_the_way_end_it, TLS1_2_VERSION,
			    TLS1_3_VERSION + 1);
	tcase_add_test(t, tls_1_2_without_ems_has_no_exporter_binding);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
