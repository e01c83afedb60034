/*
 * dovecot: what Dovecot's authentication server sees of accounts. The test is that server, and the
 * master that connects.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/dialogue/master.h"
#include "daemons/accounts/dovecot.h"

enum { WAIT_US = 20 * 1000 * 1000, SAID_MAX = 1024 };

static struct channel *master, *ours;
static struct loop_watch watch;
static struct source source;
static char said[SAID_MAX]; /* over the connection that is open */
static size_t said_len;
static int server = -1;
static unsigned connections;
static bool gone;

struct channel *service_master(void)
{
	return ours;
}

static void say(const char *text)
{
	ck_assert_int_eq(write(server, text, strlen(text)), (ssize_t)strlen(text));
}

/* Answers a question with yes. */
static void hears(void *arg, unsigned what)
{
	const char *question;
	char answer[64];
	ssize_t n = read(server, said + said_len, sizeof(said) - 1 - said_len);

	(void)arg, (void)what;
	ck_assert_int_ge(n, 0);
	if (n == 0) {
		gone = true;
		loop_watch_stop(&watch);
		loop_stop();
		return;
	}
	said_len += (size_t)n;
	said[said_len] = '\0';
	question = strstr(said, "AUTH\t");
	if (!question || said[said_len - 1] != '\n')
		return;
	snprintf(answer, sizeof(answer), "OK\t%d\tuser=alice@example.org\n", atoi(question + 5));
	say(answer);
	loop_stop();
}

static void on_want(struct channel *c, const void *record)
{
	const struct master_want *m = record;
	struct service_descriptor d = {.kind = SLICE("socket"), .name = m->name};
	int fds[2];

	(void)c;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	if (server >= 0)
		close(server);
	server = fds[0];
	said_len = 0;
	gone = false;
	connections++;
	loop_watch_start(&watch, server, LOOP_READ, hears, NULL);
	say("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nDONE\n");
	d.fd = fds[1];
	ck_assert(dovecot_descriptor(&d));
}

static const struct route master_routes[] = {
    {MASTER_WANT, ROUTE_ALWAYS, on_want},
    {0, 0, NULL},
};
static const struct route none[] = {{0, 0, NULL}};

static void closed(struct channel *c)
{
	(void)c;
	ck_abort_msg("a channel was closed");
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void run(void)
{
	struct loop_timer timer = {0};

	loop_timer_start(&timer, WAIT_US, late, NULL);
	loop_run();
	loop_timer_stop(&timer);
}

static void setup(void)
{
	int fds[2];

	ck_assert(channel_pair(fds));
	master = channel_open(fds[0], &master_dialogue, master_routes, closed, NULL);
	ours = channel_open(fds[1], &master_dialogue, none, closed, NULL);
	source.text = (char *)(uintptr_t) "unix:/run/dovecot/auth-client";
	dovecot_begin();
	dovecot_name(slice_str(source.text));
	dovecot_end();
}

static void ask(void)
{
	struct login *l = login_new();

	l->service = LOGIN_TEST;
	l->sources = sources_hold();
	slice_copy(SLICE("alice@example.org"), l->name.address, sizeof(l->name.address));
	login_password(l, SLICE("secret"));
	login_ask_dovecot(l, &source);
}

START_TEST(hangs_up_when_nobody_has_a_question_and_comes_again)
{
	for (unsigned i = 1; i <= 2; i++) {
		ask();
		run();
		ck_assert(!gone);
		ck_assert_uint_eq(connections, i);
		ck_assert_ptr_nonnull(strstr(said, "resp=AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="));
		run();
		ck_assert(gone);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dovecot");
	TCase *t = tcase_create("dovecot");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, hangs_up_when_nobody_has_a_question_and_comes_again);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
