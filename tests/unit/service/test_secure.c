/*
 * TLS of a daemon between a master that gives certificates, a keys that has the keys or not, and
 * clients.
 */
#include <check.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/keys.h"
#include "common/service/secure.h"
#include "tests/unit/net/tls_peers.h"

/* keys */

enum keys_mood { SIGNS, WAITS, REFUSES };

static bool there[KEYS_MAX]; /* of signer_keys: keys has it */
static enum keys_mood keys_mood;
static struct channel *keys_end, *daemon_end;
static unsigned asks, signs;
static bool has_sign;

static size_t key_of(struct slice name)
{
	size_t i = 0;
	while (i < signer_keys_count &&
	       !slice_equal(name, slice_make(signer_keys[i].name, TLS_KEY_NAME_SIZE)))
		i++;
	return i;
}

static void say_present(size_t i)
{
	struct keys_present m = {.name = slice_make(signer_keys[i].name, TLS_KEY_NAME_SIZE),
				 .present = there[i]};
	ck_assert(channel_send(keys_end, KEYS_PRESENT, &m));
}

static void on_ask(struct channel *c, const void *record)
{
	const struct keys_ask *m = record;
	size_t i = key_of(m->name);
	(void)c;
	ck_assert_uint_lt(i, signer_keys_count);
	asks++;
	say_present(i);
}

static void on_sign(struct channel *c, const void *record)
{
	const struct keys_sign *m = record;
	struct keys_signed answer = {.request = m->request};
	size_t i = key_of(m->name);
	signs++;
	has_sign = true;
	if (keys_mood == WAITS)
		return;
	if (keys_mood == REFUSES || i == signer_keys_count || !there[i]) {
		answer.text = SLICE("no");
	} else {
		sign_text(signer_keys[i].key, m->scheme, m->text);
		answer.signature = slice_make(signature, signature_len);
	}
	ck_assert(channel_send(c, KEYS_SIGNED, &answer));
}

static const struct route keys_routes[] = {
    {KEYS_ASK, ROUTE_ALWAYS, on_ask},
    {KEYS_SIGN, ROUTE_ALWAYS, on_sign},
    {0, 0, NULL},
};

static void ignore(struct channel *c)
{
	(void)c;
}

static void link_up(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	keys_end = channel_open(fds[0], &keys_dialogue, keys_routes, ignore, NULL);
	daemon_end = channel_open(fds[1], &keys_dialogue, secure_routes, ignore, NULL);
	secure_up(daemon_end, 0);
}

static void link_down(void)
{
	secure_down(daemon_end);
	channel_free(&daemon_end);
	channel_free(&keys_end);
}

/* The master */

static void set(const char *const *paths, size_t count)
{
	static const struct settings_tls tls = {.minimum = 12};
	secure_settings_begin();
	secure_setting(&settings_tls_record, &tls);
	for (size_t i = 0; i < count; i++) {
		struct settings_certificate c = {.number = (uint32_t)i + 1,
						 .certificate = slice_str(paths[i]),
						 .key = SLICE("/key")};
		secure_setting(&settings_certificate_record, &c);
	}
	secure_settings_end();
}

static void give(const char *path, struct slice text)
{
	int fd = memfd_create("certificate", MFD_CLOEXEC);
	struct service_descriptor d = {.kind = SLICE("file"),
				       .name = slice_str(path),
				       .detail = SLICE("certificate"),
				       .fd = fd};
	ck_assert_int_eq(write(fd, text.ptr, text.len), (ssize_t)text.len);
	ck_assert(secure_descriptor(&d));
	ck_assert_int_eq(close(fd), -1);
}

/* A certificate for that name, whose key is one more of signer_keys; the number of that. */
static size_t issue(const char *path, const char *kind, const char *name)
{
	size_t i = signer_keys_count++;
	struct slice pem;
	X509 *x;
	ck_assert_uint_lt(i, KEYS_MAX);
	signer_keys[i].key = key_make(kind);
	ck_assert(tls_key_name(signer_keys[i].key, signer_keys[i].name, NULL));
	x = certificate_make(signer_keys[i].key, name, NULL);
	pem = certificate_pem(x);
	give(path, pem);
	free((char *)pem.ptr);
	X509_free(x);
	return i;
}

/* The client */

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

/* What was said is heard, and what follows from it done: all ends are in this process. */
static void some_turns(void)
{
	struct loop_timer timer = {0};
	loop_timer_start(&timer, 20000, stop, NULL);
	loop_run();
	loop_timer_stop(&timer);
}

static void begin(void)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	secured = ended = false;
	served = stream_open(fds[0], &served_kind, NULL);
	client_fd = fds[1];
	client = (struct client){.octets = 100, .host = client.host};
	ck_assert(secure_start(served));
	ck_assert_int_eq(pthread_create(&client_thread, NULL, client_run, NULL), 0);
}

static void finish(void)
{
	run_until(&ended);
	stream_free(&served);
	pthread_join(client_thread, NULL);
}

static const char *shown(void)
{
	begin();
	finish();
	return client.same ? client.subject : "";
}

static const char *const one[] = {"/a.pem"};
static const char *const two[] = {"/a.pem", "/b.pem"};
static const char *const turned[] = {"/b.pem", "/a.pem"};

static void setup(void)
{
	keys_mood = SIGNS;
	memset(there, 0, sizeof(there));
	set(one, 1);
	secure_warm("smtpd");
	link_up();
}

START_TEST(a_certificate_is_used_as_soon_as_its_key_is_there)
{
	size_t a = issue("/a.pem", "P-256", "a.example");
	ck_assert(!secure_ready());
	some_turns();
	ck_assert_uint_ge(asks, 1);
	ck_assert(!secure_ready());
	there[a] = true;
	say_present(a);
	some_turns();
	ck_assert(secure_ready());
	ck_assert_str_eq(shown(), "a.example");
	ck_assert_uint_eq(signs, 1);
}
END_TEST

START_TEST(a_new_certificate_waits_for_its_key_and_a_bad_one_changes_nothing)
{
	size_t a = issue("/a.pem", "RSA", "old.example"), b;
	there[a] = true;
	some_turns();
	ck_assert_str_eq(shown(), "old.example");
	give("/a.pem", SLICE("nonsense"));
	some_turns();
	ck_assert_str_eq(shown(), "old.example");
	b = issue("/a.pem", "ED25519", "new.example");
	some_turns();
	ck_assert_str_eq(shown(), "old.example");
	there[b] = true;
	say_present(b);
	some_turns();
	ck_assert_str_eq(shown(), "new.example");
}
END_TEST

START_TEST(what_can_not_sign_any_more_is_not_offered)
{
	size_t a = issue("/a.pem", "P-256", "a.example");
	there[a] = true;
	some_turns();
	ck_assert(secure_ready());
	there[a] = false;
	say_present(a);
	some_turns();
	ck_assert(!secure_ready());
	there[a] = true;
	link_down(); /* as when keys was started anew */
	link_up();
	some_turns();
	ck_assert_str_eq(shown(), "a.example");
}
END_TEST

START_TEST(the_first_is_for_clients_that_name_no_host_also_after_a_reload)
{
	set(two, 2);
	there[issue("/b.pem", "P-256", "b.example")] = true;
	there[issue("/a.pem", "P-384", "a.example")] = true;
	some_turns();
	ck_assert_str_eq(shown(), "a.example");
	client.host = "b.example";
	ck_assert_str_eq(shown(), "b.example");
	client.host = NULL;
	set(turned, 2);
	some_turns();
	ck_assert_str_eq(shown(), "b.example");
	set(one, 1);
	some_turns();
	ck_assert_str_eq(shown(), "a.example");
	set(one, 0);
	some_turns();
	ck_assert(!secure_ready());
}
END_TEST

START_TEST(a_handshake_is_asked_again_when_keys_has_died)
{
	there[issue("/a.pem", "P-256", "a.example")] = true;
	some_turns();
	keys_mood = WAITS;
	has_sign = false;
	begin();
	run_until(&has_sign);
	link_down();
	some_turns();
	ck_assert(secure_ready() && !ended);
	keys_mood = SIGNS;
	link_up();
	finish();
	ck_assert(client.same);
	ck_assert_uint_eq(signs, 2);
}
END_TEST

START_TEST(a_refused_signature_ends_the_handshake_alone)
{
	there[issue("/a.pem", "P-256", "a.example")] = true;
	some_turns();
	keys_mood = REFUSES;
	ck_assert_str_eq(shown(), "");
	ck_assert(!client.connected);
	ck_assert_int_eq(reason, STREAM_UNSAFE);
	keys_mood = SIGNS;
	ck_assert_str_eq(shown(), "a.example");
}
END_TEST

START_TEST(who_goes_while_keys_is_asked_is_forgotten)
{
	there[issue("/a.pem", "P-256", "a.example")] = true;
	some_turns();
	keys_mood = WAITS;
	has_sign = false;
	begin();
	run_until(&has_sign);
	stream_free(&served);
	pthread_join(client_thread, NULL);
	ck_assert(!client.connected);
	signs = 0;
	keys_mood = SIGNS;
	link_down(); /* nothing is asked again */
	link_up();
	some_turns();
	ck_assert_uint_eq(signs, 0);
	ck_assert_str_eq(shown(), "a.example");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secure");
	TCase *t = tcase_create("secure");
	int failed;
	signal(SIGPIPE, SIG_IGN); /* of the clients */
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_certificate_is_used_as_soon_as_its_key_is_there);
	tcase_add_test(t, a_new_certificate_waits_for_its_key_and_a_bad_one_changes_nothing);
	tcase_add_test(t, what_can_not_sign_any_more_is_not_offered);
	tcase_add_test(t, the_first_is_for_clients_that_name_no_host_also_after_a_reload);
	tcase_add_test(t, a_handshake_is_asked_again_when_keys_has_died);
	tcase_add_test(t, a_refused_signature_ends_the_handshake_alone);
	tcase_add_test(t, who_goes_while_keys_is_asked_is_forgotten);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
