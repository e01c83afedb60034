/*
 * session: POP3 as a client sees it, with accounts, maildrop and the child of a mailbox played by
 * the test, as they should be and as they should not. All of it lives in one loop.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/service/logins.h"
#include "daemons/pop3d/pop3d.h"

enum { HEARD_MAX = 1024 * 1024, WAIT_SECONDS = 20, MESSAGES = 3 };

static const char ticket[] = "0123456789abcdef";

static struct {
	struct session *session;
	int fd; /* the client */
	size_t len;
	char text[HEARD_MAX + 1]; /* that it has heard */
	bool closed;
} client;

/* What accounts does with a question. */
static struct {
	struct channel *ours, *daemons;
	uint32_t result;
	bool silent;
	unsigned asked, forgotten;
	uint64_t request;
	char user[64], password[64], mechanism[32];
} accounts;

static struct {
	struct channel *ours, *daemons;
	const char *refuses; /* text; NULL: opens */
	bool silent;
	unsigned asked;
} maildrop;

/* The child. */
static struct {
	struct channel *channel;
	uint32_t state;
	size_t count;
	bool silent;
	const char *content;
	uint32_t fails_at; /* number of a message that can't be read */
	size_t deleted[16], delete_count;
	bool all;
	uint32_t undeleted;
	unsigned reads;
	void (*lies)(void); /* in the place of a part */
} child;

static void ignore_close(struct channel *c)
{
	(void)c;
}

static void child_closed(struct channel *c)
{
	if (c == child.channel)
		channel_free(&child.channel);
}

/* The child's side */

static void list(void)
{
	char entries[MESSAGES * MAILDROP_LIST_SIZE] = {0};
	struct maildrop_listed m = {slice_make(entries, child.count * MAILDROP_LIST_SIZE)};
	struct maildrop_state state = {.state = child.state, .messages = (uint32_t)child.count};
	for (size_t i = 0; i < child.count; i++) {
		char *entry = entries + i * MAILDROP_LIST_SIZE;
		put_u64(entry, 10 * (i + 1));
		entry[8] = 2;
		entry[9] = 'u';
		entry[10] = (char)('1' + i);
	}
	if (child.count > 0)
		channel_send(child.channel, MAILDROP_LISTED, &m);
	channel_send(child.channel, MAILDROP_STATE, &state);
}

static void on_read(struct channel *c, const void *record)
{
	const struct maildrop_read *m = record;
	struct slice all = slice_str(child.content);
	struct maildrop_part part = {.number = m->number};
	child.reads++;
	if (child.silent)
		return;
	if (child.lies) {
		child.lies();
		return;
	}
	part.failed = m->number == child.fails_at;
	part.octets = slice_sub(all, (size_t)m->from, m->most);
	part.last = m->from + part.octets.len >= all.len;
	channel_send(c, MAILDROP_PART, &part);
}

static void on_delete(struct channel *c, const void *record)
{
	const struct maildrop_delete *m = record;
	struct maildrop_deleted done = {.failed = child.undeleted};
	for (size_t i = 0; i + 4 <= m->numbers.len; i += 4)
		child.deleted[child.delete_count++] = get_u32(m->numbers.ptr + i);
	child.all = m->all;
	if (!m->all || child.silent)
		return;
	done.deleted = (uint32_t)child.delete_count - child.undeleted;
	channel_send(c, MAILDROP_DELETED, &done);
}

static const struct route child_routes[] = {
    {MAILDROP_READ, ROUTE_ALWAYS, on_read},
    {MAILDROP_DELETE, ROUTE_ALWAYS, on_delete},
    {0, 0, NULL},
};

/* accounts' and maildrop's side */

static void answer_login(uint32_t result)
{
	struct login_done done = {.request = accounts.request,
				  .result = result,
				  .user = SLICE("bob@example.org"),
				  .ticket = slice_make(ticket, LOGIN_TICKET_SIZE)};
	channel_send(accounts.ours, LOGIN_DONE, &done);
}

static void on_check(struct channel *c, const void *record)
{
	const struct login_check *m = record;
	(void)c;
	accounts.asked++;
	accounts.request = m->request;
	slice_copy(m->user, accounts.user, sizeof(accounts.user));
	slice_copy(m->password, accounts.password, sizeof(accounts.password));
	slice_copy(m->mechanism, accounts.mechanism, sizeof(accounts.mechanism));
	ck_assert(slice_equal(m->service, SLICE("pop3")));
	ck_assert(slice_equal(m->client, SLICE("192.0.2.1")));
	if (!accounts.silent)
		answer_login(accounts.result);
}

static void on_forget(struct channel *c, const void *record)
{
	(void)c, (void)record;
	accounts.forgotten++;
}

static void on_scram(struct channel *c, const void *record)
{
	const struct login_scram *m = record;
	struct login_salt salt = {
	    .request = m->request, .salt = SLICE("0123456789abcdef"), .iterations = 4096};
	channel_send(c, LOGIN_SALT, &salt);
}

static const struct route accounts_routes[] = {
    {LOGIN_CHECK, ROUTE_ALWAYS, on_check},
    {LOGIN_SCRAM_ASK, ROUTE_ALWAYS, on_scram},
    {LOGIN_FORGET, ROUTE_ALWAYS, on_forget},
    {0, 0, NULL},
};

static void on_open(struct channel *c, const void *record)
{
	const struct maildrop_open *m = record;
	struct maildrop_opened opened = {.request = m->request, .fd = -1};
	int ends[2] = {-1, -1};
	maildrop.asked++;
	ck_assert(slice_equal(m->ticket, slice_make(ticket, LOGIN_TICKET_SIZE)));
	if (maildrop.silent)
		return;
	if (maildrop.refuses) {
		opened.text = slice_str(maildrop.refuses);
	} else {
		ck_assert(channel_pair(ends));
		opened.fd = ends[1];
		child.channel = channel_open(ends[0], &maildrop_session_dialogue, child_routes,
					     child_closed, NULL);
	}
	channel_send(c, MAILDROP_OPENED, &opened);
	if (ends[1] >= 0)
		close(ends[1]);
	if (child.channel && !child.silent)
		list();
}

static const struct route maildrop_routes[] = {
    {MAILDROP_OPEN, ROUTE_ALWAYS, on_open},
    {0, 0, NULL},
};

/* The loop */

static bool (*awaited)(void);
static const char *awaited_text;

static void look(void *arg)
{
	struct loop_timer *timer = arg;
	ssize_t n = client.closed ? 0
				  : recv(client.fd, client.text + client.len,
					 HEARD_MAX - client.len, MSG_DONTWAIT);
	if (n == 0)
		client.closed = true;
	client.len += n > 0 ? (size_t)n : 0;
	client.text[client.len] = '\0';
	if (awaited())
		loop_stop();
	else
		loop_timer_start(timer, 500, look, timer);
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about; heard: %s", client.text);
}

static void run_until(bool (*condition)(void))
{
	struct loop_timer timer = {0}, often = {0};
	awaited = condition;
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	loop_timer_start(&often, 0, look, &often);
	loop_run();
	loop_timer_stop(&often);
	loop_timer_stop(&timer);
}

static bool has_text(void)
{
	return client.len >= strlen(awaited_text) &&
	       strcmp(client.text + client.len - strlen(awaited_text), awaited_text) == 0;
}

static bool is_closed(void)
{
	return client.closed;
}

static bool has_child_closed(void)
{
	return !child.channel;
}

/* The client */

static void say(const char *text)
{
	ck_assert_int_eq(send(client.fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void forget_text(void)
{
	client.len = 0;
	client.text[0] = '\0';
}

/* Says it; what comes ends with that. */
static void expect(const char *command, const char *reply)
{
	forget_text();
	say(command);
	awaited_text = reply;
	run_until(has_text);
}

/* All that comes is that. */
static void expect_all(const char *command, const char *reply)
{
	expect(command, reply);
	ck_assert_str_eq(client.text, reply);
}

static void send_setting(uint32_t errors)
{
	struct settings_server server = {.hostname = SLICE("mx.example.org")};
	struct settings_limits limits = {
	    .connections = 10, .per_client = 10, .errors = errors, .idle = 60000000};
	pop3d_settings_begin();
	pop3d_setting(&settings_server_record, &server);
	pop3d_setting(&settings_limits_record, &limits);

	pop3d_settings_end();
}

static void open_link(const struct dialogue *d, struct channel **ours, struct channel **daemons,
		      const struct route *our_routes, const struct route *routes)
{
	int ends[2];
	ck_assert(channel_pair(ends));
	*ours = channel_open(ends[0], d, our_routes, ignore_close, NULL);
	*daemons = channel_open(ends[1], d, routes, ignore_close, NULL);
}

static void connect_client(bool secured)
{
	struct net_address a;
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			 0);
	client.fd = ends[0];
	client.closed = false;
	forget_text();
	ck_assert(net_ip_parse(SLICE("192.0.2.1"), &a));
	client.session = session_open(ends[1], NULL, client_enter(&a, 0), "192.0.2.1");
	session_begin(client.session, false);
	client.session->secured = secured;
	awaited_text = "+OK mx.example.org Stagepost POP3 ready\r\n";
	run_until(has_text);
}

static bool is_offered(void)
{
	return logins_offered() != 0;
}

static void setup(void)
{
	struct login_mechanisms m = {LOGIN_PLAIN | LOGIN_LOGIN | LOGIN_SCRAM};
	clock_warm();
	memset(&accounts, 0, sizeof(accounts));
	memset(&maildrop, 0, sizeof(maildrop));
	memset(&child, 0, sizeof(child));
	accounts.result = LOGIN_HOLDS;
	child.state = MAILDROP_READY;
	child.count = MESSAGES;
	child.content = "Subject: x\n\n.one\ntwo\n";
	logins_warm(server_revoke);
	box_warm();
	server_start();
	send_setting(20);
	open_link(&login_dialogue, &accounts.ours, &accounts.daemons, accounts_routes,
		  logins_routes);
	open_link(&maildrop_dialogue, &maildrop.ours, &maildrop.daemons, maildrop_routes,
		  box_routes);
	logins_up(accounts.daemons, 0);
	box_up(maildrop.daemons, 0);
	channel_send(accounts.ours, LOGIN_MECHANISMS, &m);
	run_until(is_offered);
	connect_client(true);
}

static void login(void)
{
	expect_all("USER bob\r\nPASS a b \r\n",
		   "+OK now the password\r\n+OK 3 messages, 60 octets\r\n");
	ck_assert_str_eq(accounts.password, "a b ");
	ck_assert_str_eq(accounts.mechanism, "USER");
}

static const struct {
	const char *said, *heard;
} dialogues[] = {
    {"STAT\r\n", "+OK 3 60\r\n"},
    {"stat\r\n", "+OK 3 60\r\n"},
    {"LIST\r\n", "+OK 3 messages\r\n1 10\r\n2 20\r\n3 30\r\n.\r\n"},
    {"LIST 2\r\n", "+OK 2 20\r\n"},
    {"LIST 4\r\n", "-ERR there is no such message\r\n"},
    {"UIDL\r\n", "+OK 3 messages\r\n1 u1\r\n2 u2\r\n3 u3\r\n.\r\n"},
    {"UIDL 3\r\n", "+OK 3 u3\r\n"},
    {"RETR 1\r\n", "+OK 10 octets\r\nSubject: x\r\n\r\n..one\r\ntwo\r\n.\r\n"},
    {"TOP 1 0\r\n", "+OK top of message\r\nSubject: x\r\n\r\n.\r\n"},
    {"TOP 1 1\r\n", "+OK top of message\r\nSubject: x\r\n\r\n..one\r\n.\r\n"},
    {"TOP 1\r\n", "-ERR how many lines?\r\n"},
    {"DELE 2\r\nSTAT\r\nLIST\r\nUIDL 2\r\n",
     "+OK message 2 deleted\r\n+OK 2 40\r\n+OK 2 messages\r\n1 10\r\n3 30\r\n.\r\n"
     "-ERR the message is deleted\r\n"},
    {"DELE 1\r\nDELE 3\r\nRSET\r\nSTAT\r\n",
     "+OK message 1 deleted\r\n+OK message 3 deleted\r\n+OK 3 messages\r\n+OK 3 60\r\n"},
    {"NOOP\r\n", "+OK here\r\n"},
    {"USER bob\r\n", "-ERR only before the login\r\n"},
    {"STLS\r\n", "-ERR only before the login\r\n"},
    {"UTF8\r\n", "-ERR only before the login\r\n"},
    {"XTND\r\n", "-ERR command not known\r\n"},
    {"RETR 1\r\nRETR 2\r\nNOOP\r\n",
     "+OK 10 octets\r\nSubject: x\r\n\r\n..one\r\ntwo\r\n.\r\n"
     "+OK 20 octets\r\nSubject: x\r\n\r\n..one\r\ntwo\r\n.\r\n+OK here\r\n"},
    {"CAPA\r\n", "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
		 "EXPIRE NEVER\r\nIMPLEMENTATION Stagepost\r\n.\r\n"},
};

START_TEST(what_is_said_to_an_open_maildrop)
{
	login();
	expect_all(dialogues[_i].said, dialogues[_i].heard);
}
END_TEST

/* One octet a turn. */
START_TEST(what_is_said_slowly_has_the_same_answer)
{
	login();
	forget_text();
	awaited_text = dialogues[_i].heard;
	for (const char *c = dialogues[_i].said; *c; c++) {
		ck_assert_int_eq(send(client.fd, c, 1, 0), 1);
		usleep(10);
	}
	run_until(has_text);
	ck_assert_str_eq(client.text, dialogues[_i].heard);
}
END_TEST

static const char *const before_tls[] = {"USER bob\r\n", "PASS x\r\n", "AUTH PLAIN\r\n", "AUTH\r\n",
					 "AUTH PLAIN AGJvYgB4\r\n"};

START_TEST(S9_nobody_logs_in_without_tls)
{
	client.session->secured = false;
	expect_all(before_tls[_i], "-ERR begin TLS first (STLS)\r\n");
	ck_assert_uint_eq(accounts.asked, 0);
	expect("CAPA\r\n", ".\r\n");
	ck_assert_ptr_null(strstr(client.text, "SASL"));
	ck_assert_ptr_null(strstr(client.text, "\r\nUSER"));
}
END_TEST

static const struct {
	uint32_t result;
	const char *heard;
	bool closes;
} refusals[] = {
    {LOGIN_DENIED, "-ERR [AUTH] wrong user or password\r\n", false},
    {LOGIN_BANNED, "-ERR [AUTH] too many failed logins, try later\r\n", true},
    {LOGIN_TROUBLE, "-ERR [SYS/TEMP] the login can't be checked now\r\n", false},
    {0, "-ERR [SYS/TEMP] the login can't be checked now\r\n", false},
};

START_TEST(a_login_that_does_not_hold_has_its_code)
{
	accounts.result = refusals[_i].result;
	expect("USER bob\r\nPASS x\r\n", refusals[_i].heard);
	ck_assert_uint_eq(maildrop.asked, 0);
	if (refusals[_i].closes) {
		run_until(is_closed);
		return;
	}
	accounts.result = LOGIN_HOLDS;
	expect("PASS x\r\n", "-ERR USER first\r\n"); /* both are said again */
	login();
}
END_TEST

START_TEST(sasl_is_another_way_in)
{
	expect_all("AUTH PLAIN AGJvYgB4IHk=\r\n", "+OK 3 messages, 60 octets\r\n");
	ck_assert_str_eq(accounts.user, "bob");
	ck_assert_str_eq(accounts.password, "x y");
	ck_assert_str_eq(accounts.mechanism, "PLAIN");
}
END_TEST

START_TEST(sasl_goes_by_lines_and_may_be_cancelled)
{
	expect_all("AUTH PLAIN\r\n", "+ \r\n");
	expect_all("*\r\n", "-ERR cancelled\r\n");
	expect_all("AUTH LOGIN\r\nYm9i\r\neA==\r\n",
		   "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n+OK 3 messages, 60 octets\r\n");
	ck_assert_str_eq(accounts.mechanism, "LOGIN");
}
END_TEST

START_TEST(S10_a_NUL_or_no_base64_asks_nobody)
{
	expect("AUTH PLAIN AGIAYgB4AHg=\r\n", "-ERR that can't be read\r\n");
	expect("AUTH PLAIN ???\r\n", "-ERR that can't be read\r\n");
	expect("USER b\xff\r\nPASS x\r\n", "-ERR [AUTH] wrong user or password\r\n");
	ck_assert_uint_eq(accounts.asked, 0);
}
END_TEST

static bool is_asked(void)
{
	return accounts.asked > 0;
}

static bool is_forgotten(void)
{
	return accounts.forgotten > 0;
}

START_TEST(accounts_may_die_while_it_is_asked)
{
	accounts.silent = true;
	say("USER bob\r\nPASS x\r\n");
	run_until(is_asked);
	logins_down(accounts.daemons);
	awaited_text = "-ERR [SYS/TEMP] the login can't be checked now\r\n";
	run_until(has_text);
}
END_TEST

static bool has_challenge(void)
{
	return client.len > 2 && client.text[client.len - 1] == '\n';
}

/* Each line of the client has one answer. */
START_TEST(accounts_may_die_while_it_is_the_clients_turn)
{
	forget_text();
	say("AUTH SCRAM-SHA-256 biwsbj1ib2Iscj14eXo=\r\n"); /* n,,n=bob,r=xyz */
	run_until(has_challenge);
	ck_assert(slice_starts(slice_str(client.text), SLICE("+ ")));
	logins_down(accounts.daemons);
	expect_all("Yz1iaXdzLHI9eHl6LHA9eA==\r\n",
		   "-ERR [SYS/TEMP] the login can't be checked now\r\n");
	expect_all("NOOP\r\n", "-ERR log in first\r\n");
}
END_TEST

START_TEST(accounts_hears_that_a_session_was_cut)
{
	accounts.silent = true;
	say("USER bob\r\nPASS x\r\n");
	run_until(is_asked);
	session_cut(client.session, "test");
	run_until(is_forgotten);
	run_until(is_closed);
	answer_login(LOGIN_HOLDS); /* too late: nobody is there */
	usleep(1000);
	connect_client(true);
	ck_assert_uint_eq(maildrop.asked, 0);
}
END_TEST

static const struct {
	const char *refuses;
	uint32_t state;
	const char *heard;
} troubles[] = {
    {"no process", MAILDROP_READY, "-ERR [SYS/TEMP] the maildrop can't be opened now\r\n"},
    {NULL, MAILDROP_LOCKED, "-ERR [IN-USE] another session has the maildrop\r\n"},
    {NULL, MAILDROP_TROUBLE, "-ERR [SYS/TEMP] the maildrop can't be opened now\r\n"},
    {NULL, 0, "-ERR [SYS/TEMP] the maildrop can't be opened now\r\n"},
};

START_TEST(a_maildrop_that_does_not_open_leaves_the_session_as_it_was)
{
	maildrop.refuses = troubles[_i].refuses;
	child.state = troubles[_i].state;
	expect("USER bob\r\nPASS x\r\n", troubles[_i].heard);
	expect_all("STAT\r\n", "-ERR log in first\r\n");
	maildrop.refuses = NULL;
	child.state = MAILDROP_READY;
	login();
}
END_TEST

START_TEST(quit_removes_what_is_deleted_and_nothing_else)
{
	login();
	expect_all("DELE 1\r\nDELE 3\r\nQUIT\r\n",
		   "+OK message 1 deleted\r\n+OK message 3 deleted\r\n"
		   "+OK bye, 2 messages removed\r\n");
	run_until(is_closed);
	ck_assert_uint_eq(child.delete_count, 2);
	ck_assert_uint_eq(child.deleted[0], 1);
	ck_assert_uint_eq(child.deleted[1], 3);
	ck_assert(child.all);
}
END_TEST

static bool is_told_all(void)
{
	return child.all;
}

/* Else a client that comes back at once finds its own lock. */
START_TEST(quit_with_nothing_to_remove_is_answered_when_the_maildrop_is_free)
{
	login();
	child.silent = true;
	expect_all("DELE 1\r\nRSET\r\n", "+OK message 1 deleted\r\n+OK 3 messages\r\n");
	forget_text();
	say("QUIT\r\n");
	run_until(is_told_all);
	ck_assert_uint_eq(child.delete_count, 0);
	ck_assert_uint_eq(client.len, 0);
	if (_i == 0)
		channel_send(child.channel, MAILDROP_DELETED, &(struct maildrop_deleted){0});
	else
		channel_free(&child.channel);
	awaited_text = "+OK bye\r\n";
	run_until(has_text);
	ck_assert_str_eq(client.text, awaited_text);
	run_until(has_child_closed);
	run_until(is_closed);
}
END_TEST

START_TEST(what_could_not_be_removed_is_told)
{
	login();
	child.undeleted = 1;
	expect("DELE 1\r\nDELE 3\r\nQUIT\r\n",
	       "-ERR [SYS/TEMP] some deleted messages are not removed\r\n");
	run_until(is_closed);
}
END_TEST

START_TEST(a_child_that_dies_while_it_removes_is_told)
{
	login();
	child.silent = true;
	expect("DELE 1\r\nNOOP\r\n", "+OK here\r\n");
	say("QUIT\r\n");
	run_until(is_told_all);
	channel_free(&child.channel);
	awaited_text = "-ERR [SYS/TEMP] some deleted messages may not be removed\r\n";
	run_until(has_text);
	run_until(is_closed);
}
END_TEST

START_TEST(a_client_that_goes_removes_nothing)
{
	login();
	expect("DELE 1\r\n", "+OK message 1 deleted\r\n");
	close(client.fd);
	run_until(has_child_closed);
	ck_assert_uint_eq(child.delete_count, 0);
}
END_TEST

/* Its maildrop was held for ten minutes: the next session found it in use. */
START_TEST(a_client_that_goes_before_its_list_is_sent_frees_the_maildrop)
{
	login();
	say(_i == 0 ? "LIST\r\nLIST\r\n" : "UIDL\r\nNOOP\r\n");
	close(client.fd);
	run_until(has_child_closed);
}
END_TEST

START_TEST(a_user_whose_password_changes_is_cut_off)
{
	struct login_revoked other = {SLICE("alice@example.org")}, bob = {SLICE("bob@example.org")};
	login();
	expect("DELE 1\r\n", "+OK message 1 deleted\r\n");
	channel_send(accounts.ours, LOGIN_REVOKED, &other);
	expect_all("NOOP\r\n", "+OK here\r\n");
	channel_send(accounts.ours, LOGIN_REVOKED, &bob);
	run_until(is_closed);
	ck_assert_uint_eq(child.delete_count, 0);
}
END_TEST

START_TEST(a_message_that_can_not_be_read_is_an_error_for_itself)
{
	login();
	child.fails_at = 2;
	expect_all("RETR 2\r\n", "-ERR [SYS/TEMP] the message can't be read now\r\n");
	expect("RETR 1\r\n", ".\r\n");
}
END_TEST

/* A child that is its owner's, and was changed by him. */

static void other_number(void)
{
	struct maildrop_part part = {.number = 2, .octets = SLICE("x"), .last = true};
	channel_send(child.channel, MAILDROP_PART, &part);
}

static void nothing_for_ever(void)
{
	struct maildrop_part part = {.number = 1};
	channel_send(child.channel, MAILDROP_PART, &part);
}

static void more_than_asked(void)
{
	static char octets[MAILDROP_PART_MAX];
	struct maildrop_part part = {.number = 1, .octets = slice_make(octets, sizeof(octets))};
	channel_send(child.channel, MAILDROP_PART, &part);
}

static void two_parts(void)
{
	struct maildrop_part part = {.number = 1, .octets = SLICE("x\n"), .last = true};
	channel_send(child.channel, MAILDROP_PART, &part);
	channel_send(child.channel, MAILDROP_PART, &part);
}

static void another_list(void)
{
	list();
}

static void removed_unasked(void)
{
	struct maildrop_deleted m = {.deleted = 3};
	channel_send(child.channel, MAILDROP_DELETED, &m);
}

static void breaks_off(void)
{
	static bool again;
	struct maildrop_part part = {.number = 1, .octets = SLICE("half a line")};
	if (again)
		channel_free(&child.channel);
	else
		channel_send(child.channel, MAILDROP_PART, &part);
	again = true;
}

static void fails_in_the_middle(void)
{
	struct maildrop_part part = {.number = 1, .octets = SLICE("half a line")};
	part.failed = child.reads > 1;
	channel_send(child.channel, MAILDROP_PART, &part);
}

static void (*const lies[])(void) = {other_number, nothing_for_ever,   more_than_asked,
				     two_parts,	   another_list,       removed_unasked,
				     breaks_off,   fails_in_the_middle};

START_TEST(a_child_that_lies_ends_its_session_and_no_message_looks_whole)
{
	login();
	child.lies = lies[_i];
	forget_text();
	say("RETR 1\r\n");
	run_until(is_closed);
	if (lies[_i] != two_parts) /* the first of them is a message */
		ck_assert_ptr_null(strstr(client.text, "\r\n.\r\n"));
	connect_client(true);
	child.lies = NULL;
	login();
}
END_TEST

static void no_such_octets(char *entry)
{
	put_u64(entry, UINT64_MAX);
}

static void no_uid(char *entry)
{
	entry[8] = 0;
}

static void long_uid(char *entry)
{
	entry[8] = (char)255;
}

static void uid_with_a_line_end(char *entry)
{
	entry[10] = '\n';
}

static void (*const bad_entries[])(char *) = {no_such_octets, no_uid, long_uid,
					      uid_with_a_line_end};

static bool has_child(void)
{
	return child.channel != NULL;
}

START_TEST(a_list_that_makes_no_sense_opens_nothing)
{
	char entry[MAILDROP_LIST_SIZE] = {0};
	struct maildrop_listed m = {slice_make(entry, sizeof(entry))};
	put_u64(entry, 5);
	memcpy(entry + 8, "\2u1", 3);
	bad_entries[_i](entry);
	child.silent = true;
	say("USER bob\r\nPASS x\r\n");
	run_until(has_child);
	channel_send(child.channel, MAILDROP_LISTED, &m);
	awaited_text = "-ERR [SYS/TEMP] the maildrop can't be opened now\r\n";
	run_until(has_text);
}
END_TEST

START_TEST(a_list_that_is_cut_or_counted_wrong_opens_nothing)
{
	char entry[MAILDROP_LIST_SIZE] = {0};
	struct maildrop_listed m = {slice_make(entry, sizeof(entry) - 1)};
	struct maildrop_state state = {.state = MAILDROP_READY, .messages = 7};
	child.silent = true;
	say("USER bob\r\nPASS x\r\n");
	run_until(has_child);
	if (_i == 0)
		channel_send(child.channel, MAILDROP_LISTED, &m);
	else
		channel_send(child.channel, MAILDROP_STATE, &state);
	awaited_text = "-ERR [SYS/TEMP] the maildrop can't be opened now\r\n";
	run_until(has_text);
}
END_TEST

START_TEST(too_many_errors_end_a_session)
{
	send_setting(2);
	expect("x\r\nx\r\nx\r\n", "-ERR command not known\r\n");
	run_until(is_closed);
	ck_assert_str_eq(client.text, "-ERR command not known\r\n-ERR command not known\r\n"
				      "-ERR command not known\r\n");
}
END_TEST

static bool has_read_once(void)
{
	return child.reads > 0;
}

static bool is_idle_for_a_while(void)
{
	static unsigned turns;
	return ++turns > 100;
}

/* The next part is asked for when the one before has left. */
START_TEST(a_client_that_does_not_read_stops_the_child)
{
	static char content[2 * 1024 * 1024];
	int small = 4096;
	login();
	memset(content, 'x', sizeof(content) - 1);
	child.content = content;
	setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client.closed = true; /* so that look() does not read */
	say("RETR 1\r\n");
	run_until(has_read_once);
	run_until(is_idle_for_a_while);
	unsigned reads = child.reads;
	ck_assert_uint_lt(reads * SEND_CHUNK, sizeof(content) / 2);
	ck_assert_uint_le(stream_unsent(client.session->stream), 3 * SEND_CHUNK);
	run_until(is_idle_for_a_while);
	ck_assert_uint_eq(child.reads, reads);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session");
	TCase *tc = tcase_create("session");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, what_is_said_to_an_open_maildrop, 0,
			    sizeof(dialogues) / sizeof(dialogues[0]));
	tcase_add_loop_test(tc, what_is_said_slowly_has_the_same_answer, 0,
			    sizeof(dialogues) / sizeof(dialogues[0]));
	tcase_add_loop_test(tc, S9_nobody_logs_in_without_tls, 0,
			    sizeof(before_tls) / sizeof(before_tls[0]));
	tcase_add_loop_test(tc, a_login_that_does_not_hold_has_its_code, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, sasl_is_another_way_in);
	tcase_add_test(tc, sasl_goes_by_lines_and_may_be_cancelled);
	tcase_add_test(tc, S10_a_NUL_or_no_base64_asks_nobody);
	tcase_add_test(tc, accounts_may_die_while_it_is_asked);
	tcase_add_test(tc, accounts_may_die_while_it_is_the_clients_turn);
	tcase_add_test(tc, accounts_hears_that_a_session_was_cut);
	tcase_add_loop_test(tc, a_maildrop_that_does_not_open_leaves_the_session_as_it_was, 0,
			    sizeof(troubles) / sizeof(troubles[0]));
	tcase_add_test(tc, quit_removes_what_is_deleted_and_nothing_else);
	tcase_add_loop_test(tc, quit_with_nothing_to_remove_is_answered_when_the_maildrop_is_free,
			    0, 2);
	tcase_add_test(tc, what_could_not_be_removed_is_told);
	tcase_add_test(tc, a_child_that_dies_while_it_removes_is_told);
	tcase_add_test(tc, a_client_that_goes_removes_nothing);
	tcase_add_loop_test(tc, a_client_that_goes_before_its_list_is_sent_frees_the_maildrop, 0,
			    2);
	tcase_add_test(tc, a_user_whose_password_changes_is_cut_off);
	tcase_add_test(tc, a_message_that_can_not_be_read_is_an_error_for_itself);
	tcase_add_loop_test(tc, a_child_that_lies_ends_its_session_and_no_message_looks_whole, 0,
			    sizeof(lies) / sizeof(lies[0]));
	tcase_add_loop_test(tc, a_list_that_makes_no_sense_opens_nothing, 0,
			    sizeof(bad_entries) / sizeof(bad_entries[0]));
	tcase_add_loop_test(tc, a_list_that_is_cut_or_counted_wrong_opens_nothing, 0, 2);
	tcase_add_test(tc, too_many_errors_end_a_session);
	tcase_add_test(tc, a_client_that_does_not_read_stops_the_child);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
