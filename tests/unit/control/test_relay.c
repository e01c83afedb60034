/*
 * control between two commands and fakes of its partners, all on one loop.
 */
#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemons/control/control.h"

/* A loop until something has come true. */

static bool (*wanted)(void);

static void look(void *arg)
{
	(void)arg;
	if (wanted())
		loop_stop();
	else
		loop_turn_again();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come true within 10 seconds");
}

static void run_until(bool (*come_true)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0};
	wanted = come_true;
	loop_turn_add(&turn, look, NULL);
	loop_timer_start(&timer, 10000000, late, NULL);
	loop_run();
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

/* The command's end */

struct command {
	struct channel *channel;
	struct asker *asker;
	unsigned items, done, processes, steps, listed;
	uint64_t request, count;
	unsigned code;
	char text[200];
	bool closed;
};

static void take_done(struct command *c, uint64_t request, unsigned code, struct slice text)
{
	c->done++;
	c->request = request;
	c->code = code;
	slice_copy(text, c->text, sizeof(c->text));
}

static void got_process(struct channel *c, const void *record)
{
	(void)record;
	((struct command *)channel_owner(c))->processes++;
}

static void got_item(struct channel *c, const void *record)
{
	struct command *k = channel_owner(c);
	k->items++;
	k->request = ((const struct queue_item *)record)->request;
}

static void got_step(struct channel *c, const void *record)
{
	(void)record;
	((struct command *)channel_owner(c))->steps++;
}

static void got_master_done(struct channel *c, const void *record)
{
	const struct master_done *m = record;
	take_done(channel_owner(c), m->request, m->code, m->text);
}

static void got_queue_done(struct channel *c, const void *record)
{
	const struct queue_done *m = record;
	take_done(channel_owner(c), m->request, m->code, m->text);
	((struct command *)channel_owner(c))->count = m->count;
}

static void got_routed(struct channel *c, const void *record)
{
	const struct router_routed *m = record;
	take_done(channel_owner(c), m->request, m->code, m->text);
}

static void got_login_done(struct channel *c, const void *record)
{
	const struct login_done *m = record;
	take_done(channel_owner(c), m->request, m->result, m->user);
}

static void got_listed(struct channel *c, const void *record)
{
	(void)record;
	((struct command *)channel_owner(c))->listed++;
}

static void got_usage_done(struct channel *c, const void *record)
{
	const struct usage_done *m = record;
	take_done(channel_owner(c), m->request, m->code, m->text);
}

static const struct route command_routes[] = {
    {COMMAND_MASTER_PROCESS, ROUTE_ALWAYS, got_process},
    {COMMAND_MASTER_DONE, ROUTE_ALWAYS, got_master_done},
    {COMMAND_QUEUE_ITEM, ROUTE_ALWAYS, got_item},
    {COMMAND_QUEUE_DONE, ROUTE_ALWAYS, got_queue_done},
    {COMMAND_ROUTER_STEP, ROUTE_ALWAYS, got_step},
    {COMMAND_ROUTER_ROUTED, ROUTE_ALWAYS, got_routed},
    {COMMAND_LOGIN_DONE, ROUTE_ALWAYS, got_login_done},
    {COMMAND_USAGE_LISTED, ROUTE_ALWAYS, got_listed},
    {COMMAND_USAGE_DONE, ROUTE_ALWAYS, got_usage_done},
    {0},
};

static void command_closed(struct channel *c)
{
	((struct command *)channel_owner(c))->closed = true;
}

static struct command one, two;

static void connect_command(struct command *k)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	k->channel = channel_open(fds[0], &command_dialogue, command_routes, command_closed, k);
	k->asker = asker_open(fds[1]);
	ck_assert_ptr_nonnull(k->asker);
	k->asker->admin = true; /* whoever runs the tests */
}

/* The partners' ends */

static struct partner_end {
	struct channel *far, *near; /* the partner's, control's */
	uint64_t request[16];
	uint32_t verb;
	unsigned asked, cancelled, paused, resumed;
} queue, master, router, accounts, usage;

static void asked(struct partner_end *p, uint64_t request, uint32_t verb)
{
	p->request[p->asked++ % 16] = request;
	p->verb = verb;
}

static void queue_asked(struct channel *c, const void *record)
{
	const struct queue_ask *m = record;
	asked(channel_owner(c), m->request, m->verb);
}

static void queue_cancelled(struct channel *c, const void *record)
{
	(void)record;
	((struct partner_end *)channel_owner(c))->cancelled++;
}

static void queue_paused(struct channel *c, const void *record)
{
	struct partner_end *p = channel_owner(c);
	if (((const struct queue_pause *)record)->wait)
		p->paused++;
	else
		p->resumed++;
}

static void master_asked(struct channel *c, const void *record)
{
	const struct master_ask *m = record;
	asked(channel_owner(c), m->request, m->verb);
}

static void router_asked(struct channel *c, const void *record)
{
	const struct router_explain *m = record;
	asked(channel_owner(c), m->request, 0);
}

/* A password is asked about as control says it, whatever the command said. */
static void accounts_asked(struct channel *c, const void *record)
{
	const struct login_check *m = record;
	ck_assert(slice_equal(m->service, SLICE("test")));
	ck_assert_uint_eq(m->client.len, 0);
	ck_assert(slice_equal(m->user, SLICE("alice")) &&
		  slice_equal(m->password, SLICE("secret")));
	asked(channel_owner(c), m->request, 0);
}

static void usage_asked(struct channel *c, const void *record)
{
	const struct usage_ask *m = record;
	asked(channel_owner(c), m->request, m->verb);
}

static const struct route far_accounts_routes[] = {{LOGIN_CHECK, ROUTE_ALWAYS, accounts_asked},
						   {0}};
static const struct route far_usage_routes[] = {{USAGE_ASK, ROUTE_ALWAYS, usage_asked}, {0}};
static const struct route far_queue_routes[] = {
    {QUEUE_ASK, ROUTE_ALWAYS, queue_asked},
    {QUEUE_CANCEL, ROUTE_ALWAYS, queue_cancelled},
    {QUEUE_PAUSE, ROUTE_ALWAYS, queue_paused},
    {0},
};
static const struct route far_master_routes[] = {{MASTER_ASK, ROUTE_ALWAYS, master_asked}, {0}};
static const struct route far_router_routes[] = {{ROUTER_EXPLAIN, ROUTE_ALWAYS, router_asked}, {0}};

static void partner_closed(struct channel *c)
{
	(void)c;
}

static void connect_partner(struct partner_end *p, enum partner which, const struct dialogue *d,
			    const struct route *far, const struct route *near)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	p->far = channel_open(fds[0], d, far, partner_closed, p);
	p->near = channel_open(fds[1], d, near, partner_closed, p);
	relay_use(which, p->near);
}

static void connect_all(void)
{
	connect_partner(&queue, PARTNER_QUEUE, &queue_dialogue, far_queue_routes,
			relay_queue_routes);
	connect_partner(&master, PARTNER_MASTER, &master_dialogue, far_master_routes,
			relay_master_routes);
	connect_partner(&router, PARTNER_ROUTER, &router_dialogue, far_router_routes,
			relay_router_routes);
	connect_partner(&accounts, PARTNER_ACCOUNTS, &login_dialogue, far_accounts_routes,
			relay_accounts_routes);
	connect_partner(&usage, PARTNER_USAGE, &usage_dialogue, far_usage_routes,
			relay_usage_routes);
	connect_command(&one);
}

static void ask_queue(struct command *k, uint64_t request, enum queue_verb verb)
{
	struct queue_ask m = {.request = request, .verb = verb, .all = true};
	ck_assert(channel_send(k->channel, COMMAND_QUEUE_ASK, &m));
}

static void ask_master(struct command *k, uint64_t request, uint32_t verb)
{
	struct master_ask m = {.request = request, .verb = verb};
	ck_assert(channel_send(k->channel, COMMAND_MASTER_ASK, &m));
}

static bool queue_was_asked(void)
{
	return queue.asked == 1;
}

static bool queue_was_asked_twice(void)
{
	return queue.asked == 2;
}

static bool one_done(void)
{
	return one.done == 1;
}

static bool both_done(void)
{
	return one.done == 1 && two.done == 1;
}

START_TEST(relays_a_question_and_its_answers_under_the_askers_number)
{
	connect_all();
	ask_queue(&one, 77, QUEUE_LIST);
	run_until(queue_was_asked);
	struct queue_item item = {.request = queue.request[0], .id = 5};
	struct queue_done done = {.request = queue.request[0], .count = 2, .text = SLICE("fine")};
	channel_send(queue.far, QUEUE_ITEM, &item);
	channel_send(queue.far, QUEUE_ITEM, &item);
	channel_send(queue.far, QUEUE_DONE, &done);
	run_until(one_done);
	ck_assert_uint_eq(one.items, 2);
	ck_assert_uint_eq(one.request, 77);
	ck_assert_uint_eq(one.count, 2);
	ck_assert_str_eq(one.text, "fine");
	ck_assert_uint_eq(one.asker->question_count, 0);
}
END_TEST

static bool master_was_asked(void)
{
	return master.asked == 1;
}

START_TEST(relays_to_the_master_and_to_the_router)
{
	connect_all();
	ask_master(&one, 1, MASTER_VERB_RELOAD);
	run_until(master_was_asked);
	ck_assert_uint_eq(master.verb, MASTER_VERB_RELOAD);
	struct master_process process = {.request = master.request[0], .name = SLICE("smtpd")};
	struct master_done done = {.request = master.request[0], .code = EX_CONFIG};
	channel_send(master.far, MASTER_PROCESS, &process);
	channel_send(master.far, MASTER_DONE, &done);
	run_until(one_done);
	ck_assert_uint_eq(one.processes, 1);
	ck_assert_uint_eq(one.code, EX_CONFIG);
}
END_TEST

static bool router_was_asked(void)
{
	return router.asked == 1;
}

START_TEST(explains_a_route)
{
	struct router_explain m = {.request = 9, .recipient = SLICE("a@b")};
	connect_all();
	channel_send(one.channel, COMMAND_ROUTER_EXPLAIN, &m);
	run_until(router_was_asked);
	struct router_step step = {.request = router.request[0], .what = SLICE("alias")};
	struct router_routed end = {.request = router.request[0], .code = 550};
	channel_send(router.far, ROUTER_STEP, &step);
	channel_send(router.far, ROUTER_ROUTED, &end);
	run_until(one_done);
	ck_assert_uint_eq(one.steps, 1);
	ck_assert_uint_eq(one.code, 550);
	ck_assert_uint_eq(one.request, 9);
}
END_TEST

static bool accounts_was_asked(void)
{
	return accounts.asked == 1;
}

static const struct login_check password = {.request = 9,
					    .service = SLICE("pop3"),
					    .client = SLICE("192.0.2.1"),
					    .user = SLICE("alice"),
					    .password = SLICE("secret")};

START_TEST(asks_accounts_whether_a_password_holds)
{
	connect_all();
	channel_send(one.channel, COMMAND_LOGIN_CHECK, &password);
	run_until(accounts_was_asked);
	struct login_done done = {
	    .request = accounts.request[0], .result = LOGIN_HOLDS, .user = SLICE("alice@x")};
	channel_send(accounts.far, LOGIN_DONE, &done);
	run_until(one_done);
	ck_assert_uint_eq(one.request, 9);
	ck_assert_uint_eq(one.code, LOGIN_HOLDS);
	ck_assert_str_eq(one.text, "alice@x");
}
END_TEST

static bool usage_was_asked(void)
{
	return usage.asked == 1;
}

START_TEST(asks_usage_who_has_sent_how_much)
{
	struct usage_ask m = {.request = 9, .verb = USAGE_LIST};
	connect_all();
	channel_send(one.channel, COMMAND_USAGE_ASK, &m);
	run_until(usage_was_asked);
	ck_assert_uint_eq(usage.verb, USAGE_LIST);
	struct usage_listed listed = {.request = usage.request[0]};
	struct usage_done done = {.request = usage.request[0], .code = 1};
	channel_send(usage.far, USAGE_LISTED, &listed);
	channel_send(usage.far, USAGE_LISTED, &listed);
	channel_send(usage.far, USAGE_DONE, &done);
	run_until(one_done);
	ck_assert_uint_eq(one.listed, 2);
	ck_assert_uint_eq(one.code, 1);
	ck_assert_uint_eq(one.request, 9);
}
END_TEST

START_TEST(keeps_passwords_and_usage_for_administrators)
{
	connect_all();
	one.asker->admin = false;
	channel_send(one.channel, COMMAND_LOGIN_CHECK, &password);
	run_until(one_done);
	ck_assert_uint_eq(one.code, EX_NOPERM);
	for (uint32_t verb = USAGE_BLOCK; verb <= USAGE_LIST; verb++) {
		struct usage_ask m = {.request = verb, .verb = verb};
		one.done = 0;
		channel_send(one.channel, COMMAND_USAGE_ASK, &m);
		run_until(one_done);
		ck_assert_uint_eq(one.code, EX_NOPERM);
	}
	ck_assert_uint_eq(accounts.asked + usage.asked, 0);
}
END_TEST

START_TEST(keeps_the_questions_of_two_commands_apart)
{
	connect_all();
	connect_command(&two);
	ask_queue(&one, 1, QUEUE_LIST);
	run_until(queue_was_asked);
	ask_queue(&two, 1, QUEUE_LIST);
	run_until(queue_was_asked_twice);
	ck_assert_uint_ne(queue.request[0], queue.request[1]);
	struct queue_done second = {.request = queue.request[1], .count = 2};
	struct queue_done first = {.request = queue.request[0], .count = 1};
	channel_send(queue.far, QUEUE_DONE, &second);
	channel_send(queue.far, QUEUE_DONE, &first);
	run_until(both_done);
	ck_assert_uint_eq(one.count, 1);
	ck_assert_uint_eq(two.count, 2);
}
END_TEST

/* Who is no administrator: what the right is for each verb. */
static const struct {
	bool queue;
	uint32_t verb;
	unsigned code; /* EX_OK: it went on to the partner */
} others_rights[] = {
    {false, MASTER_VERB_STATUS, EX_OK},	    {false, MASTER_VERB_STOP, EX_NOPERM},
    {false, MASTER_VERB_RELOAD, EX_NOPERM}, {true, QUEUE_STATUS, EX_OK},
    {true, QUEUE_LIST, EX_NOPERM},	    {true, QUEUE_SHOW, EX_NOPERM},
    {true, QUEUE_HOLD, EX_NOPERM},	    {true, QUEUE_RELEASE, EX_NOPERM},
    {true, QUEUE_RETRY, EX_NOPERM},	    {true, QUEUE_DELETE, EX_NOPERM},
    {true, QUEUE_VERIFY, EX_NOPERM},	    {false, 99, EX_USAGE},
};

static bool done_or_asked(void)
{
	return one.done + master.asked + queue.asked > 0;
}

START_TEST(gives_each_verb_its_right)
{
	connect_all();
	one.asker->admin = false;
	if (others_rights[_i].queue)
		ask_queue(&one, 3, (enum queue_verb)others_rights[_i].verb);
	else
		ask_master(&one, 3, others_rights[_i].verb);
	run_until(done_or_asked);
	ck_assert_uint_eq(one.done, others_rights[_i].code != EX_OK);
	ck_assert_uint_eq(master.asked + queue.asked, others_rights[_i].code == EX_OK);
	ck_assert_uint_eq(one.code, others_rights[_i].code);
}
END_TEST

START_TEST(keeps_routes_for_administrators)
{
	struct router_explain m = {.request = 9, .recipient = SLICE("a@b")};
	connect_all();
	one.asker->admin = false;
	channel_send(one.channel, COMMAND_ROUTER_EXPLAIN, &m);
	run_until(one_done);
	ck_assert_uint_eq(one.code, EX_NOPERM);
	ck_assert_uint_eq(router.asked, 0);
}
END_TEST

START_TEST(says_try_later_when_the_partner_is_not_there)
{
	connect_command(&one);
	ask_queue(&one, 3, QUEUE_LIST);
	run_until(one_done);
	ck_assert_uint_eq(one.code, EX_TEMPFAIL);
	ck_assert_uint_eq(one.request, 3);
	ck_assert_str_eq(one.text, "the queue manager is not there now; try again in a moment");
}
END_TEST

START_TEST(answers_what_is_open_when_the_partner_goes)
{
	connect_all();
	ask_queue(&one, 3, QUEUE_VERIFY);
	run_until(queue_was_asked);
	relay_use(PARTNER_QUEUE, NULL);
	run_until(one_done);
	ck_assert_uint_eq(one.code, EX_TEMPFAIL);
}
END_TEST

static bool was_cancelled(void)
{
	return queue.cancelled == 1;
}

START_TEST(cancels_the_walk_of_a_command_that_has_gone)
{
	connect_all();
	ask_queue(&one, 3, QUEUE_LIST);
	run_until(queue_was_asked);
	channel_free(&one.channel);
	run_until(was_cancelled);
	ck_assert_uint_eq(askers_count(), 0);
	/* what still comes is dropped */
	struct queue_item item = {.request = queue.request[0]};
	channel_send(queue.far, QUEUE_ITEM, &item);
	connect_command(&two);
	ask_queue(&two, 4, QUEUE_STATUS);
	run_until(queue_was_asked_twice);
}
END_TEST

/* A command whose end of the socket nobody reads. */
static int deaf;

static void connect_deaf(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	deaf = fds[0];
	two.asker = asker_open(fds[1]);
	two.asker->admin = true;
	struct queue_ask ask = {.request = 1, .verb = QUEUE_LIST};
	/* the question is made by a channel that is gone before it could read an answer */
	int copy = dup(deaf);
	struct channel *c =
	    channel_open(copy, &command_dialogue, command_routes, command_closed, &two);
	channel_send(c, COMMAND_QUEUE_ASK, &ask);
	ck_assert(channel_flush(c, 1000000));
	channel_free(&c);
}

static char lines[60 * 1024];

static bool was_paused(void)
{
	struct queue_line line = {.request = queue.request[0],
				  .text = slice_make(lines, sizeof(lines))};
	if (queue.paused > 0)
		return true;
	if (channel_queued(queue.far) < CHANNEL_QUEUE_MAX / 16)
		channel_send(queue.far, QUEUE_LINE, &line);
	return false;
}

static bool was_resumed(void)
{
	static char packet[CHANNEL_PACKET_MAX];
	while (recv(deaf, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		continue;
	return queue.resumed > 0;
}

START_TEST(makes_a_walk_wait_while_its_command_does_not_read)
{
	connect_all();
	connect_deaf();
	run_until(queue_was_asked);
	run_until(was_paused);
	ck_assert_uint_eq(queue.paused, 1);
	ck_assert_uint_eq(queue.resumed, 0);
	/* the other command's question is answered meanwhile */
	ask_queue(&one, 7, QUEUE_STATUS);
	run_until(queue_was_asked_twice);
	struct queue_done done = {.request = queue.request[1]};
	channel_send(queue.far, QUEUE_DONE, &done);
	run_until(one_done);
	run_until(was_resumed);
}
END_TEST

static bool all_refused(void)
{
	return one.done == 2;
}

START_TEST(bounds_the_questions_of_one_command)
{
	connect_all();
	for (unsigned i = 0; i < QUESTIONS_MAX + 2; i++)
		ask_queue(&one, i + 1, QUEUE_LIST);
	run_until(all_refused);
	ck_assert_uint_eq(one.code, EX_TEMPFAIL);
	ck_assert_uint_eq(one.asker->question_count, QUESTIONS_MAX);
}
END_TEST

START_TEST(takes_root_for_an_administrator_and_a_stranger_not)
{
	ck_assert(rights_is_admin(-1, 0, 0));
	ck_assert(!rights_is_admin(-1, 12345, 12345));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("relay");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	tcase_add_test(t, relays_a_question_and_its_answers_under_the_askers_number);
	tcase_add_test(t, relays_to_the_master_and_to_the_router);
	tcase_add_test(t, explains_a_route);
	tcase_add_test(t, asks_accounts_whether_a_password_holds);
	tcase_add_test(t, asks_usage_who_has_sent_how_much);
	tcase_add_test(t, keeps_passwords_and_usage_for_administrators);
	tcase_add_test(t, keeps_the_questions_of_two_commands_apart);
	tcase_add_loop_test(t, gives_each_verb_its_right, 0,
			    sizeof(others_rights) / sizeof(others_rights[0]));
	tcase_add_test(t, keeps_routes_for_administrators);
	tcase_add_test(t, says_try_later_when_the_partner_is_not_there);
	tcase_add_test(t, answers_what_is_open_when_the_partner_goes);
	tcase_add_test(t, cancels_the_walk_of_a_command_that_has_gone);
	tcase_add_test(t, makes_a_walk_wait_while_its_command_does_not_read);
	tcase_add_test(t, bounds_the_questions_of_one_command);
	tcase_add_test(t, takes_root_for_an_administrator_and_a_stranger_not);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
