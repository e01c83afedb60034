/*
 * Handshakes that wait for their signature: many at once, in vain, for a connection that is gone.
 * Both ends are streams of the loop here.
 */
#include "common/net/tls_client.h"
#include "common/os/sandbox.h"
#include "tests/unit/net/tls_peers.h"

enum { MANY = TLS_JOBS_MAX + 70, NOBODY = 65534 };

static struct tls_server *server;
static struct tls_client *other;
static struct tls_certificate *certificate;

/* One connection. */
struct both {
	struct stream *near, *far;
	bool near_secured, far_secured, near_ended, far_ended, heard;
	enum stream_end why;
	char fault[100];
} pairs[MANY];
static size_t count_secured, count_ended, awaited;
static bool enough;

static void near_input(struct stream *s)
{
	struct slice in = stream_input(s);
	(void)stream_send(s, in);
	stream_consume(s, in.len);
}

static void near_end(struct stream *s, enum stream_end why)
{
	struct both *b = stream_owner(s);
	b->near_ended = true;
	b->why = why;
	(void)slice_copy(slice_str(stream_fault(s)), b->fault, sizeof(b->fault));
	enough = ++count_ended >= awaited;
}

static void near_secured(struct stream *s)
{
	struct both *b = stream_owner(s);
	b->near_secured = true;
}

static void far_input(struct stream *s)
{
	struct both *b = stream_owner(s);
	b->heard = true;
	stream_consume(s, stream_input(s).len);
	enough = ++count_secured >= awaited;
}

static void far_end(struct stream *s, enum stream_end why)
{
	struct both *b = stream_owner(s);
	(void)why;
	b->far_ended = true;
}

static void far_secured(struct stream *s)
{
	struct both *b = stream_owner(s);
	b->far_secured = true;
	(void)stream_send(s, SLICE("hello"));
}

static const struct stream_kind near_kind = {1000, 10000, near_input, near_end, NULL, near_secured};
static const struct stream_kind far_kind = {1000, 10000, far_input, far_end, NULL, far_secured};

static void begin(struct both *b)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	memset(b, 0, sizeof(*b));
	b->near = stream_open(fds[0], &near_kind, b);
	b->far = stream_open(fds[1], &far_kind, b);
	ck_assert(tls_server_start(server, b->near));
	ck_assert(tls_client_start(other, b->far, SLICE("mx"), SLICE("there")));
}

static void finish(struct both *b)
{
	stream_free(&b->near);
	stream_free(&b->far);
}

static void await(size_t n)
{
	enough = false;
	count_secured = count_ended = 0;
	awaited = n;
	run_until(&enough);
}

static void setup(void)
{
	struct error e;
	certificate = certified("P-256", "mx", NULL);
	server = server_made("smtpd", 12, &certificate, 1);
	other = tls_client_new(&e);
	ck_assert_ptr_nonnull(other);
	mood = LATER;
}

static void teardown(void)
{
	tls_client_free(&other);
	tls_server_free(&server);
	tls_certificate_free(&certificate);
	signer_end();
}

START_TEST(an_answer_at_once_is_as_good_as_a_later_one)
{
	mood = _i;
	begin(&pairs[0]);
	await(1);
	ck_assert(pairs[0].near_secured && pairs[0].far_secured && pairs[0].heard);
	ck_assert_uint_eq(asked, 1);
	finish(&pairs[0]);
	ck_assert_uint_eq(forgotten, 0);
}
END_TEST

START_TEST(no_signature_ends_the_connection)
{
	static const enum signer_mood moods[] = {EMPTY, UNABLE};
	mood = moods[_i];
	begin(&pairs[0]);
	await(1);
	ck_assert(pairs[0].near_ended && !pairs[0].near_secured && !pairs[0].far_secured);
	ck_assert_int_eq(pairs[0].why, STREAM_UNSAFE);
	ck_assert_str_eq(pairs[0].fault, "the certificate's key can't be used now");
	finish(&pairs[0]);
	ck_assert_uint_eq(forgotten, 0);
	mood = LATER; /* the next one has no harm of it */
	begin(&pairs[1]);
	await(1);
	ck_assert(pairs[1].near_secured);
	finish(&pairs[1]);
}
END_TEST

START_TEST(a_wrong_signature_is_refused_by_the_client)
{
	mood = GARBAGE;
	begin(&pairs[0]);
	await(1);
	ck_assert(!pairs[0].near_secured && !pairs[0].far_secured);
	ck_assert_int_eq(pairs[0].why, STREAM_UNSAFE);
	finish(&pairs[0]);
}
END_TEST

START_TEST(a_connection_that_ends_while_it_waits_is_forgotten)
{
	mood = NEVER;
	for (size_t i = 1; i <= 3 * TLS_JOBS_MAX; i++) { /* each gives its job back */
		asked = 0;
		begin(&pairs[0]);
		while (asked == 0)
			run_for(1);
		finish(&pairs[0]);
		ck_assert_uint_eq(forgotten, i);
	}
}
END_TEST

START_TEST(one_that_waits_too_long_ends_by_its_deadline)
{
	mood = NEVER;
	begin(&pairs[0]);
	stream_deadline(pairs[0].near, 20000);
	await(1);
	ck_assert_int_eq(pairs[0].why, STREAM_LATE);
	ck_assert_uint_eq(asked, 1);
	finish(&pairs[0]);
	ck_assert_uint_eq(forgotten, 1);
}
END_TEST

static unsigned turns;

static void count_turn(void *arg)
{
	(void)arg;
	turns++;
}

START_TEST(what_the_client_does_meanwhile_costs_nothing)
{
	struct loop_turn counter = {0};
	mood = NEVER;
	begin(&pairs[0]);
	while (asked == 0)
		run_for(1000);
	stream_free(&pairs[0].far); /* its descriptor is readable from now on, for ever */
	loop_turn_add(&counter, count_turn, NULL);
	run_for(50000);
	loop_turn_remove(&counter);
	ck_assert_uint_lt(turns, 100);
	ck_assert_uint_eq(asked, 1);
	finish(&pairs[0]);
	ck_assert_uint_eq(forgotten, 1);
}
END_TEST

START_TEST(one_that_waits_stalls_no_other)
{
	mood = NEVER;
	begin(&pairs[0]);
	while (asked == 0)
		run_for(1000);
	struct tls_wait *wait = last_wait;
	mood = AT_ONCE;
	for (size_t i = 1; i < 10; i++) {
		begin(&pairs[i]);
		await(1);
		ck_assert(pairs[i].near_secured);
		finish(&pairs[i]);
	}
	ck_assert(!pairs[0].near_secured && !pairs[0].near_ended);
	last_wait = wait;
	finish(&pairs[0]);
}
END_TEST

/* A signer that keeps all questions, and answers them when it likes. */
static struct {
	struct tls_wait *wait;
	struct slice text;
	unsigned scheme;
} questions[MANY];
static size_t questions_count;

static bool keep_question(void *arg, const unsigned char *key, enum tls_purpose purpose,
			  unsigned scheme, struct slice text, struct tls_wait *wait)
{
	(void)arg, (void)key, (void)purpose;
	ck_assert_uint_lt(questions_count, MANY);
	questions[questions_count].wait = wait;
	questions[questions_count].text = text;
	questions[questions_count++].scheme = scheme;
	return true;
}

static void drop_question(void *arg, struct tls_wait *wait)
{
	(void)arg;
	for (size_t i = 0; i < questions_count; i++)
		if (questions[i].wait == wait)
			questions[i].wait = NULL;
	forgotten++;
}

START_TEST(more_than_there_are_jobs_wait_in_line)
{
	static const struct tls_signer keeper = {keep_question, drop_question, NULL};
	struct error e;
	tls_server_free(&server);
	server = tls_server_new("smtpd", &keeper, &e);
	ck_assert(tls_server_use(server, 12, &certificate, 1, &e));
	for (size_t i = 0; i < MANY; i++)
		begin(&pairs[i]);
	while (questions_count < TLS_JOBS_MAX)
		run_for(1000);
	run_for(20000);
	ck_assert_uint_eq(questions_count, TLS_JOBS_MAX);
	finish(&pairs[MANY - 1]); /* one that has no job */
	ck_assert_uint_eq(forgotten, 0);
	finish(&pairs[0]); /* one that has: the next in line gets it */
	ck_assert_uint_eq(forgotten, 1);
	count_secured = 0;
	awaited = MANY - 2;
	enough = false;
	for (size_t done = 0; !enough;) {
		for (; done < questions_count; done++) {
			if (!questions[done].wait)
				continue;
			sign_text(signer_keys[0].key, questions[done].scheme, questions[done].text);
			tls_signed(questions[done].wait, slice_make(signature, signature_len));
		}
		run_for(1000);
	}
	ck_assert_uint_eq(questions_count, MANY - 1);
	for (size_t i = 0; i < MANY; i++)
		finish(&pairs[i]);
}
END_TEST

/* What is no ClientHello. */
static void begin_nonsense(struct both *b)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	memset(b, 0, sizeof(*b));
	b->near = stream_open(fds[0], &near_kind, b);
	b->far = stream_open(fds[1], &far_kind, b);
	ck_assert(tls_server_start(server, b->near));
	(void)stream_send(b->far, SLICE("EHLO is no word of TLS\r\n"));
}

START_TEST(who_makes_no_use_of_his_turn_keeps_nobody_waiting)
{
	static const struct tls_signer keeper = {keep_question, drop_question, NULL};
	enum { NONSENSE = 20, LAST = TLS_JOBS_MAX + NONSENSE };
	struct error e;
	tls_server_free(&server);
	server = tls_server_new("smtpd", &keeper, &e);
	ck_assert(tls_server_use(server, 12, &certificate, 1, &e));
	for (size_t i = 0; i < TLS_JOBS_MAX; i++)
		begin(&pairs[i]);
	while (questions_count < TLS_JOBS_MAX)
		run_for(1000);
	for (size_t i = TLS_JOBS_MAX; i < LAST; i++)
		begin_nonsense(&pairs[i]);
	begin(&pairs[LAST]);
	run_for(20000);
	ck_assert_uint_eq(questions_count, TLS_JOBS_MAX);
	sign_text(signer_keys[0].key, questions[0].scheme, questions[0].text);
	tls_signed(questions[0].wait, slice_make(signature, signature_len));
	await(1);
	for (unsigned i = 0; i < 1000 && questions_count == TLS_JOBS_MAX; i++)
		run_for(1000);
	ck_assert_uint_eq(questions_count, TLS_JOBS_MAX + 1);
	for (size_t i = 0; i <= LAST; i++)
		finish(&pairs[i]);
}
END_TEST

/* Half a hello each: the first one has to go, and all others stay. */
START_TEST(one_more_than_may_be_under_way_ends_the_oldest)
{
	static struct both crowd[TLS_HANDSHAKES_MAX + 1];
	for (size_t i = 0; i < TLS_HANDSHAKES_MAX + 1; i++) {
		int fds[2];
		ck_assert_int_eq(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
		crowd[i].near = stream_open(fds[0], &near_kind, &crowd[i]);
		crowd[i].far = stream_open(fds[1], &far_kind, &crowd[i]);
		ck_assert(tls_server_start(server, crowd[i].near));
	}
	await(1);
	ck_assert(crowd[0].near_ended);
	ck_assert_int_eq(crowd[0].why, STREAM_UNSAFE);
	ck_assert_str_eq(crowd[0].fault, "too many handshakes at once");
	ck_assert(!crowd[1].near_ended && !crowd[TLS_HANDSHAKES_MAX].near_ended);
	begin(&pairs[0]); /* there is room for one at the price of the next */
	await(1);
	await(1); /* that one's end, and then what the new one says */
	ck_assert(pairs[0].near_secured && crowd[1].near_ended && !crowd[2].near_ended);
	finish(&pairs[0]);
	for (size_t i = 0; i < TLS_HANDSHAKES_MAX + 1; i++)
		finish(&crowd[i]);
	begin(&pairs[0]);
	await(1);
	ck_assert(pairs[0].near_secured);
	finish(&pairs[0]);
}
END_TEST

START_TEST(all_of_it_works_in_the_sandbox)
{
	static const char *const roles[] = {"smtpd", "submission", "pop3d"};
	struct sandbox_place place = {.root_dir = -1, .uid = NOBODY, .gid = NOBODY};
	struct error e;
	int sockets[6][2];
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets[i]),
				 0);
	(void)loop_now();
	loop_turn_again();
	run_for(1);
	ck_assert_msg(sandbox_enter(sandbox_find(roles[_i]), &place, &e), "%s", e.text);
	for (size_t i = 0; i < 6; i++) {
		struct both *b = &pairs[i];
		mood = i % 3 == 2 ? NEVER : i % 3 == 1 ? AT_ONCE : LATER;
		asked = 0;
		b->near = stream_open(sockets[i][0], &near_kind, b);
		b->far = stream_open(sockets[i][1], &far_kind, b);
		ck_assert(tls_server_start(server, b->near));
		ck_assert(tls_client_start(other, b->far, SLICE("mx"), SLICE("there")));
		if (mood == NEVER)
			stream_deadline(b->near, 20000);
		await(1);
		ck_assert_int_eq(b->near_secured, mood != NEVER);
		finish(b);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_waiting");
	TCase *t = tcase_create("tls_waiting");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, an_answer_at_once_is_as_good_as_a_later_one, AT_ONCE, LATER + 1);
	tcase_add_loop_test(t, no_signature_ends_the_connection, 0, 2);
	tcase_add_test(t, a_wrong_signature_is_refused_by_the_client);
	tcase_add_test(t, a_connection_that_ends_while_it_waits_is_forgotten);
	tcase_add_test(t, one_that_waits_too_long_ends_by_its_deadline);
	tcase_add_test(t, what_the_client_does_meanwhile_costs_nothing);
	tcase_add_test(t, one_that_waits_stalls_no_other);
	tcase_add_test(t, more_than_there_are_jobs_wait_in_line);
	tcase_add_test(t, who_makes_no_use_of_his_turn_keeps_nobody_waiting);
	tcase_add_test(t, one_more_than_may_be_under_way_ends_the_oldest);
	tcase_add_loop_test(t, all_of_it_works_in_the_sandbox, 0, 3);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
