/*
 * Questions over channels: router's rooms in one process with both of its neighbours, the one that
 * asks and an accounts that is made up.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "daemons/router/questions.h"
#include "daemons/router/rules.h"
#include "daemons/router/users.h"
#include "daemons/router/walk.h"

static struct channel *client, *server;		/* the two ends of a question's channel */
static struct channel *accounts, *accounts_end; /* router's end, and accounts' */
static unsigned asked, verdicts, routed, deliveries, steps, wanted;
static uint64_t held; /* the last question to accounts, when it is held back */
static bool hold_back;
static unsigned codes[600];
static uint64_t whole[600];

enum { SETTINGS = 7 }; /* their generation */

static void closed(struct channel *c)
{
	(void)c;
}

static void look(void)
{
	if (verdicts + routed >= wanted)
		loop_stop();
}

static void on_verdict(struct channel *c, const void *record)
{
	const struct router_verdict *m = record;

	(void)c;
	ck_assert_uint_lt(m->request, 600);
	ck_assert_uint_eq(codes[m->request], 0);
	codes[m->request] = m->action == VERDICT_CONTINUE ? 1 : m->code;
	whole[m->request] = m->whole;
	verdicts++;
	look();
}

static void on_delivery(struct channel *c, const void *record)
{
	const struct router_delivery *m = record;

	(void)c;
	ck_assert(slice_equal(m->transport, m->next_hop.len > 0 ? SLICE("smtp") : SLICE("local")));
	ck_assert_uint_eq(codes[m->request], 0);
	deliveries++;
}

static void on_routed(struct channel *c, const void *record)
{
	const struct router_routed *m = record;

	(void)c;
	ck_assert_uint_eq(codes[m->request], 0);
	codes[m->request] = m->code ? m->code : 1;
	whole[m->request] = m->whole;
	routed++;
	look();
}

static void on_step(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
	steps++;
}

static void answer(uint64_t request)
{
	struct accounts_answer m = {.request = request, .result = ACCOUNTS_KNOWN};

	channel_send(accounts_end, ACCOUNTS_ANSWER, &m);
}

static void on_accounts_ask(struct channel *c, const void *record)
{
	const struct accounts_ask *m = record;

	(void)c;
	asked++;
	held = m->request;
	if (hold_back)
		loop_stop();
	else
		answer(m->request);
}

static const struct route client_routes[] = {
    {ROUTER_VERDICT, ROUTE_ALWAYS, on_verdict},
    {ROUTER_DELIVERY, ROUTE_ALWAYS, on_delivery},
    {ROUTER_ROUTED, ROUTE_ALWAYS, on_routed},
    {ROUTER_STEP, ROUTE_ALWAYS, on_step},
    {0, 0, NULL},
};
static const struct route accounts_routes[] = {
    {ACCOUNTS_ASK, ROUTE_ALWAYS, on_accounts_ask},
    {0, 0, NULL},
};

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("not within 10 seconds");
}

static void run(unsigned more)
{
	struct loop_timer timer = {0};

	wanted = verdicts + routed + more;
	loop_timer_start(&timer, 10000000, late, NULL);
	loop_run();
	loop_timer_stop(&timer);
}

static void link_accounts(void)
{
	int fds[2];

	ck_assert(channel_pair(fds));
	accounts = channel_open(fds[0], &accounts_dialogue, users_routes, closed, NULL);
	accounts_end = channel_open(fds[1], &accounts_dialogue, accounts_routes, closed, NULL);
	users_up(accounts, 0);
}

static void link_client(const struct route *questions)
{
	int fds[2];

	ck_assert(channel_pair(fds));
	server = channel_open(fds[0], &router_dialogue, questions, closed, NULL);
	client = channel_open(fds[1], &router_dialogue, client_routes, closed, NULL);
}

static void setup(void)
{
	struct settings_server s = {.hostname = SLICE("mx.example.org"),
				    .origin = SLICE("example.org")};
	struct settings_domain d = {.number = 1, .name = SLICE("example.org")};
	struct settings_deliver v = {.number = 1, .domain = 1, .users = SLICE("file:/users")};
	struct settings_aliases a = {.domain = 1, .table = SLICE("static:list=u1 u2 u3")};

	users_begin();
	rules_begin();
	rules_setting(&settings_server_record, &s);
	rules_setting(&settings_domain_record, &d);
	rules_setting(&settings_deliver_record, &v);
	rules_setting(&settings_aliases_record, &a);
	rules_end();
	questions_settings(SETTINGS);
	link_accounts();
}

static void teardown(void)
{
	channel_free(&accounts);
	channel_free(&accounts_end);
	channel_free(&client);
	channel_free(&server);
}

static void check(uint64_t request, const char *recipient)
{
	struct router_check m = {
	    .request = request, .step = STEP_RCPT, .recipient = slice_str(recipient)};

	ck_assert(channel_send(client, ROUTER_CHECK, &m));
}

static void ask(uint64_t request, const char *recipient)
{
	struct router_ask m = {.request = request, .recipient = slice_str(recipient)};

	ck_assert(channel_send(client, ROUTER_ASK, &m));
}

START_TEST(every_check_is_answered_once_and_known_users_are_asked_for_once)
{
	char name[64];
	uint64_t began = clock_boot_us();

	link_client(questions_of_smtpd);
	for (unsigned i = 1; i < 600; i++) {
		snprintf(name, sizeof(name), "u%u@example.%s", i % 10, i % 3 ? "org" : "net");
		check(i, name);
	}
	run(599);
	ck_assert_uint_eq(verdicts, 599);
	for (unsigned i = 1; i < 600; i++)
		ck_assert_uint_eq(codes[i], i % 3 ? 1 : 554);
	/* answers of the same burst are not there yet; those that came are kept */
	asked = 0;
	codes[1] = 0;
	check(1, "u1@example.org");
	run(1);
	if (clock_boot_us() - began < USERS_KEPT_US)
		ck_assert_uint_eq(asked, 0);
	users_forget();
	asked = codes[1] = 0;
	check(1, "u1@example.org");
	run(1);
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(steps_other_than_rcpt_go_on)
{
	struct router_check m = {.request = 1, .step = STEP_HELO, .helo = SLICE("x")};

	link_client(questions_of_smtpd);
	channel_send(client, ROUTER_CHECK, &m);
	run(1);
	ck_assert_uint_eq(codes[1], 1);
}
END_TEST

/* Who may do what where: the users are u0 to u9 at example.org. */
START_TEST(listeners_for_users_want_a_login_and_its_own_addresses)
{
	static const struct {
		const char *listener, *user, *sender, *recipient; /* NULL: at MAIL */
		bool trusted;
		unsigned code;
	} cases[] = {
	    {"submission", "u1@example.org", "u1@example.org", NULL, false, 1},
	    {"submissions", "u1@example.org", "U1@example.org", NULL, false, 1},
	    {"submission", "u1@example.org", "", NULL, false, 1}, /* the null sender */
	    {"submission", "u1@example.org", "u2@example.org", NULL, false, 553},
	    {"submission", "u1@example.org", "u1@elsewhere.example", NULL, true, 553},
	    {"submission", "", "u1@example.org", NULL, false, 530},
	    {"submission", "", "", NULL, true, 530},
	    {"submissions", "", "u1@example.org", "u2@example.org", true, 530},
	    {"submission", "u1@example.org", "u1@example.org", "x@elsewhere.example", false, 1},
	    {"smtp", "", "u1@example.org", NULL, false, 1},
	    {"smtp", "", "", NULL, false, 1},
	    {"smtp", "", "u1@example.org", "x@elsewhere.example", false, 554},
	    {"smtp", "", "u1@example.org", "x@elsewhere.example", true, 1},
	    {"local", "", "u1@example.org", NULL, false, 1},
	    {"local", "", "u1@example.org", "x@elsewhere.example", false, 1},
	};
	enum { CASES = sizeof(cases) / sizeof(cases[0]) };

	link_client(questions_of_smtpd);
	for (unsigned i = 0; i < CASES; i++) {
		struct router_check m = {
		    .request = i + 1,
		    .step = cases[i].recipient ? STEP_RCPT : STEP_MAIL,
		    .listener = slice_str(cases[i].listener),
		    .user = slice_str(cases[i].user),
		    .sender = slice_str(cases[i].sender),
		    .recipient = slice_str(cases[i].recipient),
		    .trusted = cases[i].trusted,
		};
		ck_assert(channel_send(client, ROUTER_CHECK, &m));
	}
	run(CASES);
	for (unsigned i = 0; i < CASES; i++)
		ck_assert_msg(codes[i + 1] == cases[i].code, "case %u: %u", i, codes[i + 1]);
}
END_TEST

START_TEST(more_recipients_than_are_followed_at_once_are_all_answered)
{
	link_client(questions_of_queue);
	for (unsigned i = 1; i < 600; i++)
		ask(i, i % 2 ? "list@example.org" : "x@");
	run(599);
	ck_assert_uint_eq(routed, 599);
	ck_assert_uint_eq(deliveries, 300 * 3);
	for (unsigned i = 1; i < 600; i++)
		ck_assert_uint_eq(codes[i], i % 2 ? 1 : 553);
}
END_TEST

/* An alias `list` of so many addresses at that domain, and no user but by accounts. */
static void long_list(unsigned count, const char *domain)
{
	struct settings_server host = {.hostname = SLICE("mx.example.org"),
				       .origin = SLICE("example.org")};
	struct settings_domain d = {.number = 1, .name = SLICE("example.org")};
	struct settings_deliver v = {.number = 1, .domain = 1, .users = SLICE("file:/users")};
	struct settings_aliases a = {.domain = 1, .table = SLICE("file:/list")};
	struct buffer text = {.limit = SIZE_MAX};
	int fd = memfd_create("list", 0);

	rules_begin();
	rules_setting(&settings_server_record, &host);
	rules_setting(&settings_domain_record, &d);
	rules_setting(&settings_deliver_record, &v);
	rules_setting(&settings_aliases_record, &a);
	rules_end();
	for (unsigned i = 0; i < count; i++)
		buffer_printf(&text, "%s x%u@%s", i == 0 ? "list:" : ",", i, domain);
	buffer_byte(&text, '\n');
	ck_assert_int_eq(write(fd, text.data, text.len), (ssize_t)text.len);
	ck_assert(shelf_load(a.table, fd));
	close(fd);
	buffer_free(&text);
}

/* Else routing would wait for accounts, which most of it does not need. */
START_TEST(checks_that_wait_hold_up_no_routes)
{
	link_client(questions_of_smtpd);
	hold_back = true;
	check(1, "u1@example.org");
	run(1);
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(walk_addresses(), 0);
}
END_TEST

START_TEST(answers_that_fill_the_channel_are_all_given)
{
	enum { MEMBERS = 5000, ASKED = 100 }; /* more octets than a channel holds */

	long_list(MEMBERS, "example.net");
	link_client(questions_of_queue);
	questions_up(server, 0);
	for (unsigned i = 1; i <= ASKED; i++)
		ask(i, "list@example.org");
	run(ASKED);
	ck_assert_uint_eq(deliveries, ASKED * MEMBERS);
	for (unsigned i = 1; i <= ASKED; i++)
		ck_assert_uint_eq(codes[i], 1);
	ck_assert_uint_eq(walk_addresses(), 0);
}
END_TEST

START_TEST(while_long_lists_wait_no_more_are_begun)
{
	enum { MEMBERS = 5000, ASKED = 100 };

	long_list(MEMBERS, "example.org");
	link_client(questions_of_queue);
	questions_up(server, 0);
	hold_back = true;
	for (unsigned i = 1; i <= ASKED; i++)
		ask(i, "list@example.org");
	run(1); /* to the first that accounts is asked for */
	ck_assert_uint_ge(walk_addresses(), QUESTIONS_ADDRESSES_MAX);
	ck_assert_uint_le(walk_addresses(), QUESTIONS_ADDRESSES_MAX + MEMBERS + 1);
	hold_back = false;
	for (uint64_t i = 1; i <= held; i++)
		answer(i);
	run(ASKED);
	ck_assert_uint_eq(deliveries, ASKED * MEMBERS);
}
END_TEST

START_TEST(questions_survive_the_death_of_accounts)
{
	link_client(questions_of_queue);
	hold_back = true;
	ask(1, "u1@example.org");
	run(1);
	ck_assert_uint_eq(asked, 1);
	hold_back = false;
	users_down(accounts);
	channel_free(&accounts);
	channel_free(&accounts_end);
	link_accounts();
	run(1);
	ck_assert_uint_eq(codes[1], 1);
	ck_assert_uint_eq(asked, 2);
}
END_TEST

START_TEST(questions_of_a_dead_peer_are_forgotten)
{
	link_client(questions_of_queue);
	hold_back = true;
	for (unsigned i = 1; i < 600; i++)
		ask(i, "u1@example.org");
	run(1);
	questions_down(server);
	channel_free(&server);
	channel_free(&client);
	link_client(questions_of_smtpd);
	hold_back = false;
	answer(held);
	check(5, "u2@example.org");
	run(1);
	ck_assert_uint_eq(verdicts, 1);
	ck_assert_uint_eq(routed, 0);
	ck_assert_uint_eq(codes[5], 1);
}
END_TEST

static void check_trusted(uint64_t request, const char *recipient)
{
	struct router_check m = {.request = request,
				 .step = STEP_RCPT,
				 .recipient = slice_str(recipient),
				 .trusted = true};

	ck_assert(channel_send(client, ROUTER_CHECK, &m));
}

START_TEST(only_what_is_not_ours_is_answered_for_its_whole_domain)
{
	link_client(questions_of_smtpd);
	check_trusted(1, "x@example.net");
	check(2, "x@example.net"); /* refused */
	check_trusted(3, "u1@example.org");
	check_trusted(4, "list@example.org");
	check_trusted(5, "x@bad..domain");
	check_trusted(6, "postmaster");
	check_trusted(7, "x@mx.example.org");
	run(7);
	ck_assert_uint_eq(whole[1], SETTINGS);
	for (int i = 2; i < 8; i++)
		ck_assert_msg(!whole[i], "question %d", i);
}
END_TEST

/* Settings with these outbound statements, each a direction and a pattern. */
static void outbound(const char *const statements[][2], uint32_t count)
{
	struct settings_server s = {.hostname = SLICE("mx.example.org"),
				    .origin = SLICE("example.org")};

	rules_begin();
	rules_setting(&settings_server_record, &s);
	for (uint32_t i = 0; i < count; i++) {
		struct settings_outbound o = {.number = i + 1,
					      .direction = slice_str(statements[i][0]),
					      .pattern = slice_str(statements[i][1]),
					      .via = SLICE("[192.0.2.1]:25")};
		rules_setting(&settings_outbound_record, &o);
	}
	rules_end();
}

START_TEST(a_way_that_depends_on_the_address_is_not_that_of_its_domain)
{
	static const struct {
		const char *statements[2][2];
		uint32_t count;
		bool whole;
	} cases[] = {
	    {{{NULL}}, 0, true}, /* to its MX hosts */
	    {{{"all", ""}}, 1, true},
	    {{{"all", ""}, {"to", "x@example.net"}}, 2, true}, /* the second is never reached */
	    {{{"to", "x@example.net"}}, 1, false},
	    {{{"from", "example.com"}, {"all", ""}}, 2, false},
	    {{{"to", "file:there"}, {"all", ""}}, 2, false},
	};

	link_client(questions_of_queue);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		outbound(cases[i].statements, cases[i].count);
		ask(i + 1, "x@example.net");
		run(1);
		ck_assert_msg((whole[i + 1] != 0) == cases[i].whole, "case %u", i);
	}
}
END_TEST

START_TEST(a_whole_answer_names_the_settings_that_it_is_of)
{
	link_client(questions_of_smtpd);
	check_trusted(1, "x@example.net");
	run(1);
	ck_assert_uint_eq(whole[1], SETTINGS);
	questions_settings(SETTINGS + 1);
	check_trusted(2, "x@example.net");
	run(1);
	ck_assert_uint_eq(whole[2], SETTINGS + 1);
}
END_TEST

START_TEST(control_hears_the_steps)
{
	struct router_explain m = {.request = 7, .recipient = SLICE("list@example.org")};

	link_client(questions_of_control);
	channel_send(client, ROUTER_EXPLAIN, &m);
	run(1);
	ck_assert_uint_eq(codes[7], 1);
	ck_assert_uint_eq(deliveries, 0);
	ck_assert_uint_ge(steps, 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("questions");
	TCase *t = tcase_create("questions");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_check_is_answered_once_and_known_users_are_asked_for_once);
	tcase_add_test(t, steps_other_than_rcpt_go_on);
	tcase_add_test(t, listeners_for_users_want_a_login_and_its_own_addresses);
	tcase_add_test(t, more_recipients_than_are_followed_at_once_are_all_answered);
	tcase_add_test(t, checks_that_wait_hold_up_no_routes);
	tcase_add_test(t, answers_that_fill_the_channel_are_all_given);
	tcase_add_test(t, while_long_lists_wait_no_more_are_begun);
	tcase_add_test(t, questions_survive_the_death_of_accounts);
	tcase_add_test(t, questions_of_a_dead_peer_are_forgotten);
	tcase_add_test(t, only_what_is_not_ours_is_answered_for_its_whole_domain);
	tcase_add_test(t, a_way_that_depends_on_the_address_is_not_that_of_its_domain);
	tcase_add_test(t, a_whole_answer_names_the_settings_that_it_is_of);
	tcase_add_test(t, control_hears_the_steps);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
