/*
 * system: the daemon's life as local-system. A child process runs it for real, with its fork server
 * and children that are other users; the test is master, manager and accounts.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/bytes.h"
#include "common/config/settings.h"
#include "common/dialogue/accounts.h"
#include "common/dialogue/job.h"
#include "common/os/loop.h"
#include "common/os/user.h"
#include "daemons/local/jobs.h"
#include "daemons/local/statements.h"
#include "daemons/local/system.h"
#include "tests/unit/local/tree.h"
#include "tests/unit/service/begun.h"

enum {
	SEEN_MAX = 2048,
	WAIT_SECONDS = 30,
	UID_FIRST = 60000, /* user uN is N more */
	USERS = 120,
	DELIVER_MAILDIR = 3,
	DELIVER_SPOOL,
	DELIVER_HOME_MBOX,
	DELIVER_VIRTUAL,
	DAEMON = 65534,
};

static const struct record *const settings[] = {&settings_server_record, &settings_deliver_record,
						NULL};
static const struct service_link links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {"accounts", &accounts_dialogue, system_accounts_routes, system_accounts_up,
     system_accounts_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service local_system = {
    .name = "local-system",
    .links = links,
    .settings = settings,
    .settings_begin = statements_settings_begin,
    .setting = statements_setting,
    .settings_end = statements_settings_end,
    .warm = system_warm,
    .start = system_start,
    .drain = jobs_drain,
};

static struct seen {
	uint64_t message;
	uint32_t status, code;
	char enhanced[16], text[JOB_TEXT_MAX + 1];
} outcomes[SEEN_MAX];
static size_t outcome_count, end_count, until_outcomes;
static unsigned asked;
static struct channel *manager, *accounts;

static void on_outcome(struct channel *c, const void *record)
{
	const struct job_outcome *m = record;
	struct job_noted noted = {m->message, m->recipient, m->attempt};
	struct seen *s = &outcomes[outcome_count++];
	ck_assert_uint_lt(outcome_count, SEEN_MAX);
	*s = (struct seen){.message = m->message, .status = m->status, .code = m->code};
	ck_assert(slice_copy(m->enhanced, s->enhanced, sizeof(s->enhanced)));
	ck_assert(slice_copy(m->text, s->text, sizeof(s->text)));
	channel_send(c, JOB_NOTED, &noted);
}

static void on_holding_end(struct channel *c, const void *record)
{
	(void)c, (void)record;
	end_count++;
}

static const struct route manager_routes[] = {
    {JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
    {JOB_HOLDING, ROUTE_ALWAYS, ignore_record},
    {JOB_HOLDING_END, ROUTE_ALWAYS, on_holding_end},
    {0, 0, NULL},
};

static void home_of(const char *user, char path[TREE_PATH_SIZE])
{
	snprintf(path, TREE_PATH_SIZE, "%.300s/%s", tree_base, user);
}

/* Users u0 to u119, homeless, relative, and those who are trouble. */
static void on_ask(struct channel *c, const void *record)
{
	const struct accounts_ask *m = record;
	struct accounts_answer a = {.request = m->request, .result = ACCOUNTS_KNOWN};
	char user[65], home[TREE_PATH_SIZE], groups[4];
	uint64_t number = 0;
	ck_assert(slice_equal(m->users, SLICE("system")));
	ck_assert(slice_copy(m->user, user, sizeof(user)));
	asked++;
	if (user[0] == 'u')
		ck_assert(slice_number(slice_str(user + 1), USERS, &number));
	home_of(user, home);
	put_u32(groups, 60999);
	a.home = slice_str(home);
	a.uid = a.gid = user_is_root() ? UID_FIRST + (uint32_t)number : getuid();
	a.groups = slice_make(groups, 4);
	if (strcmp(user, "nobody") == 0)
		a = (struct accounts_answer){.request = m->request, .result = ACCOUNTS_MISSING};
	if (strcmp(user, "trouble") == 0)
		a = (struct accounts_answer){
		    .request = m->request, .result = ACCOUNTS_TROUBLE, .text = SLICE("LDAP")};
	if (strcmp(user, "relative") == 0) /* which would mean /tmp */
		a.home = SLICE("tmp");
	if (strcmp(user, "root") == 0)
		a.uid = 0;
	channel_send(c, ACCOUNTS_ANSWER, &a);
}

static const struct route accounts_routes[] = {
    {ACCOUNTS_ASK, ROUTE_ALWAYS, on_ask},
    {0, 0, NULL},
};

static bool has_ended(void)
{
	return end_count > 0;
}

static bool has_outcomes(void)
{
	return outcome_count >= until_outcomes;
}

static bool (*awaited)(void);

static void check(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about: %zu outcomes", outcome_count);
}

static void look_again(void *arg)
{
	struct loop_timer *timer = arg;
	loop_timer_start(timer, 10000, look_again, timer);
}

static void run_until(bool (*condition)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0}, often = {0};
	awaited = condition;
	loop_turn_add(&turn, check, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	look_again(&often); /* for what makes no event here */
	loop_run();
	loop_timer_stop(&often);
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

static void run_until_outcomes(size_t count)
{
	until_outcomes = count;
	run_until(has_outcomes);
}

static void send_deliver(uint32_t number, const char *kind, const char *path)
{
	struct settings_deliver d = {.number = number,
				     .domain = 1,
				     .kind = slice_str(kind),
				     .path = slice_str(path),
				     .users = SLICE("system")};
	send_setting(&settings_deliver_record, &d);
}

static void send_settings(void)
{
	struct master_settings_begin begin = {1};
	struct master_settings_end end = {1};
	struct settings_server server = {.hostname = SLICE("mx.example")};
	char spool[TREE_PATH_SIZE];
	snprintf(spool, sizeof(spool), "%s/spool/%%n", tree_path);
	channel_send(master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_server_record, &server);
	send_deliver(DELIVER_MAILDIR, "system-maildir", "~/Maildir");
	send_deliver(DELIVER_SPOOL, "system-mbox", spool);
	send_deliver(DELIVER_HOME_MBOX, "system-mbox", "~/mbox");
	send_deliver(DELIVER_VIRTUAL, "maildir", "%n");
	channel_send(master, MASTER_SETTINGS_END, &end);
}

static void make_home(unsigned number)
{
	char user[16], home[TREE_PATH_SIZE];
	snprintf(user, sizeof(user), "u%u", number);
	home_of(user, home);
	ck_assert_int_eq(mkdir(home, 0755), 0);
	if (user_is_root())
		ck_assert_int_eq(chown(home, UID_FIRST + number, UID_FIRST + number), 0);
}

/* The spool as Debian has it, and a directory for the daemon to live in. */
static void make_places(void)
{
	char path[TREE_PATH_SIZE];
	struct error e;
	gid_t mail;
	snprintf(path, sizeof(path), "%s/spool", tree_path);
	ck_assert_int_eq(mkdir(path, 0775), 0);
	if (user_is_root()) {
		ck_assert(user_find_group("mail", &mail, &e));
		ck_assert_int_eq(chown(path, 0, mail), 0);
		ck_assert_int_eq(chmod(path, 02775), 0);
	}
	ck_assert_int_eq(chmod(tree_base, 0755), 0);
	for (unsigned i = 0; i < USERS; i++)
		make_home(i);
}

static void setup(void)
{
	struct master_go go = {1};
	char path[TREE_PATH_SIZE];
	tree_setup();
	make_places();
	outcome_count = end_count = asked = 0;
	begin_daemon(&local_system);
	snprintf(path, sizeof(path), "%s/empty", tree_path);
	ck_assert_int_eq(mkdir(path, 0555), 0);
	send_place("local-system", DAEMON, open(path, O_RDONLY | O_DIRECTORY));
	send_settings();
	manager = link_peer("queue", &job_dialogue, manager_routes);
	accounts = link_peer("accounts", &accounts_dialogue, accounts_routes);
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
	run_until(has_ended);
}

static void teardown(void)
{
	end_daemon();
	channel_free(&manager);
	channel_free(&accounts);
	tree_teardown();
}

static struct job_start start_of(uint64_t message, const char *user, uint32_t statement)
{
	return (struct job_start){.message = message,
				  .recipient = 1,
				  .attempt = 1,
				  .sender = SLICE("s@d"),
				  .address = SLICE("b@d"),
				  .original = SLICE("b@d"),
				  .deliver = statement,
				  .user = slice_str(user),
				  .domain = SLICE("example.org"),
				  .trace = SLICE("Received: us\r\n"),
				  .header = SLICE("Subject: x\r\n"),
				  .body = SLICE("\r\nHello\r\n"),
				  .fd = -1};
}

static void start(uint64_t message, const char *user, uint32_t statement)
{
	struct job_start m = start_of(message, user, statement);
	ck_assert(channel_send(manager, JOB_START, &m));
}

static const struct seen *outcome_of(uint64_t message)
{
	const struct seen *found = NULL;
	for (size_t i = 0; i < outcome_count; i++) {
		ck_assert_msg(outcomes[i].message != message || !found, "two outcomes");
		if (outcomes[i].message == message)
			found = &outcomes[i];
	}
	ck_assert_ptr_nonnull(found);
	return found;
}

static void check_outcome(uint64_t message, uint32_t code, const char *enhanced)
{
	const struct seen *s = outcome_of(message);
	ck_assert_msg(s->code == code && strcmp(s->enhanced, enhanced) == 0, "%u %s %s", s->code,
		      s->enhanced, s->text);
}

static struct stat look_at(const char *folder, const char *name)
{
	char path[2 * TREE_PATH_SIZE];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s/%s", tree_path, folder, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st;
}

static void expect_file(const char *name, mode_t mode)
{
	struct stat st = look_at("mail", name);
	ck_assert_uint_eq(st.st_mode & 07777, mode);
	if (user_is_root())
		ck_assert_uint_eq(st.st_uid, UID_FIRST + 1);
}

START_TEST(S53_a_maildir_is_made_in_the_home_by_its_user)
{
	struct buffer b;
	char name[TREE_PATH_SIZE];
	start(1, "u1", DELIVER_MAILDIR);
	run_until_outcomes(1);
	check_outcome(1, 250, "2.0.0");
	ck_assert_str_eq(outcome_of(1)->text, "delivered to maildir");
	buffer_init(&b, TREE_FILE_MAX);
	tree_read("u1/Maildir", &b);
	ck_assert(slice_equal(buffer_slice(&b), SLICE("Return-Path: <s@d>\nDelivered-To: b@d\n"
						      "Received: us\nSubject: x\n\nHello\n")));
	buffer_free(&b);
	expect_file("u1/Maildir", 0700);
	expect_file("u1/Maildir/new", 0700);
	expect_file("u1/Maildir/tmp", 0700);
	expect_file("u1/Maildir/cur", 0700);
	snprintf(name, sizeof(name), "u1/Maildir/new/%s", tree_list("u1/Maildir", "new").first);
	expect_file(name, 0600);
}
END_TEST

START_TEST(S51_a_file_in_the_spool_and_one_in_the_home)
{
	struct stat st;
	for (uint64_t i = 1; i <= 3; i++)
		start(i, "u1", DELIVER_SPOOL);
	start(4, "u1", DELIVER_HOME_MBOX);
	run_until_outcomes(4);
	for (uint64_t i = 1; i <= 4; i++)
		check_outcome(i, 250, "2.0.0");
	st = look_at("spool", "u1");
	ck_assert_uint_eq(st.st_mode & 07777, user_is_root() ? 0660 : 0600);
	ck_assert_int_eq(st.st_size, 3 * look_at("mail", "u1/mbox").st_size);
	expect_file("u1/mbox", 0600);
}
END_TEST

static const struct {
	const char *user;
	uint32_t statement, code;
	const char *enhanced;
} refused[] = {
    {"nobody", DELIVER_MAILDIR, 550, "5.1.1"},	   {"trouble", DELIVER_MAILDIR, 451, "4.3.0"},
    {"root", DELIVER_MAILDIR, 451, "4.3.0"},	   {"homeless", DELIVER_MAILDIR, 451, "4.2.1"},
    {"homeless", DELIVER_HOME_MBOX, 451, "4.2.1"}, {"relative", DELIVER_MAILDIR, 451, "4.2.1"},
    {"u1", DELIVER_VIRTUAL, 451, "4.3.5"},	   {"u1", 99, 451, "4.3.5"},
    {"../u1", DELIVER_SPOOL, 553, "5.1.3"},
};

START_TEST(S54_S55_what_can_not_be_delivered_has_its_code)
{
	start(1, refused[_i].user, refused[_i].statement);
	run_until_outcomes(1);
	check_outcome(1, refused[_i].code, refused[_i].enhanced);
}
END_TEST

START_TEST(many_users_have_their_mail_by_few_children)
{
	enum { EACH = 3 };
	char user[16];
	uint64_t message = 0;
	for (int n = 0; n < EACH; n++)
		for (unsigned i = 0; i < USERS; i++) {
			snprintf(user, sizeof(user), "u%u", i);
			start(++message, user, DELIVER_MAILDIR);
		}
	run_until_outcomes(message);
	for (uint64_t i = 1; i <= message; i++)
		check_outcome(i, 250, "2.0.0");
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(user, sizeof(user), "u%u/Maildir", i);
		ck_assert_uint_eq(tree_count(user, "new"), EACH);
	}
	ck_assert_uint_le(asked, USERS + 1);
}
END_TEST

START_TEST(a_large_message_comes_as_a_descriptor_and_is_checked)
{
	enum { SIZE = 200000 };
	static char body[SIZE];
	struct stored_file f;
	struct job_start m = start_of(1, "u1", DELIVER_MAILDIR);
	memset(body, 'x', SIZE);
	m.fd = tree_large(SLICE("Subject: large\r\n"), slice_make(body, SIZE), &f);
	m.header = m.body = SLICE_EMPTY;
	m.file = f.number;
	m.file_nonce = slice_make(f.nonce, NONCE_SIZE);
	m.file_digest = slice_make(f.digest, DIGEST_SIZE);
	m.body_offset = f.body_offset;
	m.body_length = f.body_length;
	m.header_offset = f.header_offset;
	m.header_length = f.header_length;
	ck_assert(channel_send(manager, JOB_START, &m));
	m.message = 2;
	f.digest[0] ^= 1;
	ck_assert(channel_send(manager, JOB_START, &m));
	run_until_outcomes(2);
	close(m.fd);
	check_outcome(1, 250, "2.0.0");
	ck_assert_uint_eq(outcome_of(2)->status, JOB_SPOILED);
	ck_assert_uint_eq(tree_count("u1/Maildir", "new"), 1);
	ck_assert_uint_eq(tree_count("u1/Maildir", "tmp"), 0);
}
END_TEST

/* The process whose parent is that one; 0: none, or not one alone. */
static pid_t child_of(pid_t parent)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;
	unsigned count = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char path[300], line[400] = "", state;
		int number = atoi(e->d_name), up = 0;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		FILE *f = number > 0 ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && strrchr(line, ')') &&
		    sscanf(strrchr(line, ')') + 1, " %c %d", &state, &up) == 2 && up == parent &&
		    state != 'Z') {
			found = number;
			count++;
		}
		fclose(f);
	}
	closedir(d);
	return count == 1 ? found : 0;
}

static pid_t person, person_before;

static bool has_person(void)
{
	pid_t server = child_of(pid);
	person = server ? child_of(server) : 0;
	return person > 0 && person != person_before;
}

/* A child that waits for a lock, which is how a test holds it. */
static pid_t wait_for_person(void)
{
	person_before = person;
	run_until(has_person);
	return person;
}

static void lock_mailbox(void)
{
	char path[TREE_PATH_SIZE];
	snprintf(path, sizeof(path), "%.300s/u1/mbox.lock", tree_base);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void unlock_mailbox(void)
{
	char path[TREE_PATH_SIZE];
	snprintf(path, sizeof(path), "%.300s/u1/mbox.lock", tree_base);
	ck_assert_int_eq(unlink(path), 0);
}

/* A user may kill what runs as the user: that must not be held against the message. */
START_TEST(a_message_whose_child_dies_twice_waits_and_others_are_delivered)
{
	person = 0;
	lock_mailbox();
	for (uint64_t i = 1; i <= 3; i++)
		start(i, "u1", DELIVER_HOME_MBOX);
	start(4, "u2", DELIVER_MAILDIR);
	run_until_outcomes(1); /* u2 does not wait for u1 */
	check_outcome(4, 250, "2.0.0");
	/* when u2's child has gone, which has nothing more to do */
	ck_assert_int_eq(kill(wait_for_person(), SIGKILL), 0);
	ck_assert_int_eq(kill(wait_for_person(), SIGKILL), 0);
	run_until_outcomes(2);
	check_outcome(1, 451, "4.3.0");
	ck_assert_uint_eq(outcome_of(1)->status, JOB_DEFERRED);
	wait_for_person(); /* has the second message, and goes on */
	unlock_mailbox();
	run_until_outcomes(4);
	check_outcome(2, 250, "2.0.0");
	check_outcome(3, 250, "2.0.0");
}
END_TEST

START_TEST(a_message_beside_a_death_is_delivered_by_another_child)
{
	person = 0;
	lock_mailbox();
	start(1, "u1", DELIVER_HOME_MBOX);
	ck_assert_int_eq(kill(wait_for_person(), SIGKILL), 0);
	wait_for_person();
	unlock_mailbox();
	run_until_outcomes(1);
	check_outcome(1, 250, "2.0.0");
}
END_TEST

START_TEST(a_child_is_kept_for_a_moment_for_the_next_message)
{
	person = 0;
	start(1, "u1", DELIVER_MAILDIR);
	run_until_outcomes(1);
	pid_t first = wait_for_person();
	person = 0;
	start(2, "u1", DELIVER_HOME_MBOX);
	run_until_outcomes(2);
	ck_assert_int_eq(wait_for_person(), first);
	ck_assert_uint_eq(asked, 1);
	check_outcome(1, 250, "2.0.0");
	check_outcome(2, 250, "2.0.0");
}
END_TEST

START_TEST(what_comes_together_is_delivered_each_once_in_its_mailbox)
{
	enum { MESSAGES = 300, LOOP = 7 };
	struct stat st;
	for (uint64_t i = 1; i <= MESSAGES; i++) {
		struct job_start m = start_of(i, "u1", i % 2 ? DELIVER_MAILDIR : DELIVER_HOME_MBOX);
		if (i == LOOP)
			m.header = SLICE("Delivered-To: b@d\r\n");
		ck_assert(channel_send(manager, JOB_START, &m));
	}
	run_until_outcomes(MESSAGES);
	for (uint64_t i = 1; i <= MESSAGES; i++)
		check_outcome(i, i == LOOP ? 554 : 250, i == LOOP ? "5.4.6" : "2.0.0");
	ck_assert_uint_eq(tree_count("u1/Maildir", "new"), MESSAGES / 2 - 1);
	ck_assert_uint_eq(tree_count("u1/Maildir", "tmp"), 0);
	st = look_at("mail", "u1/mbox");
	ck_assert_int_eq(st.st_size % (MESSAGES / 2), 0);
	ck_assert_int_gt(st.st_size / (MESSAGES / 2), 60);
}
END_TEST

static void number_in(pid_t of, const char *name, char value[128])
{
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)of);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	value[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			snprintf(value, 128, "%.120s", line + strlen(name));
	fclose(f);
}

static const struct {
	const char *name, *value;
} rights[] = {
    {"Uid:", "\t60001\t60001\t60001\t60001\n"},
    {"Gid:", "\t60001\t60001\t60001\t60001\n"},
    {"Groups:", "\t60999 \n"},
    {"NoNewPrivs:", "\t1\n"},
    {"Seccomp:", "\t2\n"},
    {"CapPrm:", "\t0000000000000000\n"},
    {"CapEff:", "\t0000000000000000\n"},
};

START_TEST(S52_a_child_is_its_user_and_nothing_else)
{
	char value[128];
	if (!user_is_root()) {
		printf("not root: no other user was tried\n");
		return;
	}
	person = 0;
	lock_mailbox();
	start(1, "u1", DELIVER_HOME_MBOX);
	wait_for_person();
	do /* it may be on its way */
		number_in(person, "Seccomp:", value);
	while (strcmp(value, "\t2\n") != 0);
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		number_in(person, rights[i].name, value);
		ck_assert_str_eq(value, rights[i].value);
	}
	number_in(pid, "Uid:", value);
	ck_assert_str_eq(value, "\t65534\t65534\t65534\t65534\n");
	number_in(pid, "CapPrm:", value);
	ck_assert_str_eq(value, "\t0000000000000000\n");
	/* the server: to change user and group, and to kill */
	number_in(child_of(pid), "CapPrm:", value);
	ck_assert_str_eq(value, "\t00000000000000e0\n");
	unlock_mailbox();
	run_until_outcomes(1);
}
END_TEST

static void setup_impatient(void)
{
	system_time_limit(1000000);
	setup();
}

START_TEST(a_delivery_that_takes_too_long_is_ended_and_waits)
{
	lock_mailbox();
	start(1, "u1", DELIVER_HOME_MBOX);
	start(2, "u1", DELIVER_HOME_MBOX);
	run_until_outcomes(2);
	check_outcome(1, 451, "4.3.0");
	check_outcome(2, 451, "4.3.0");
	ck_assert_str_eq(outcome_of(1)->text, "the delivery took too long");
	unlock_mailbox();
	start(3, "u1", DELIVER_HOME_MBOX);
	run_until_outcomes(3);
	check_outcome(3, 250, "2.0.0");
}
END_TEST

static bool mailbox_is_unlocked(void)
{
	char path[TREE_PATH_SIZE];
	struct stat st;
	snprintf(path, sizeof(path), "%.300s/u1/mbox", tree_base);
	if (stat(path, &st) != 0 || st.st_size == 0)
		return false;
	snprintf(path, sizeof(path), "%.300s/u1/mbox.lock", tree_base);
	return stat(path, &st) != 0;
}

/* The child has an errand: it has opened the home. */
static bool person_is_at_work(void)
{
	char home[TREE_PATH_SIZE], path[64], target[TREE_PATH_SIZE];
	home_of("u1", home);
	for (int fd = 3; fd < 16; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)person, fd);
		ssize_t len = readlink(path, target, sizeof(target) - 1);
		if (len > 0 && slice_equal(slice_make(target, (size_t)len), slice_str(home)))
			return true;
	}
	return false;
}

static char state_of(pid_t of)
{
	char value[128];
	number_in(of, "State:", value);
	return value[1];
}

static bool person_waits(void)
{
	return state_of(person) == 'S';
}

/* The child delivers while the daemon stands still, and waits for more. */
static void deliver_behind_its_back(void)
{
	person = 0;
	lock_mailbox();
	start(1, "u1", DELIVER_HOME_MBOX);
	wait_for_person();
	run_until(person_is_at_work);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	unlock_mailbox();
	run_until(mailbox_is_unlocked);
	run_until(person_waits);
}

START_TEST(what_was_delivered_in_time_is_no_delay_of_the_delivery)
{
	deliver_behind_its_back();
	sleep(1); /* the whole limit */
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	run_until_outcomes(1);
	check_outcome(1, 250, "2.0.0");
}
END_TEST

static bool person_has_gone(void)
{
	return kill(person, 0) != 0;
}

START_TEST(a_child_that_its_user_has_stopped_keeps_no_place)
{
	deliver_behind_its_back();
	ck_assert_int_eq(kill(person, SIGSTOP), 0);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	run_until_outcomes(1);
	check_outcome(1, 250, "2.0.0");
	run_until(person_has_gone);
}
END_TEST

static bool daemon_has_gone(void)
{
	return !channel_alive(master);
}

START_TEST(the_daemon_ends_when_its_fork_server_has_gone)
{
	ck_assert_int_eq(kill(child_of(pid), SIGKILL), 0);
	run_until(daemon_has_gone);
}
END_TEST

START_TEST(outcomes_go_to_the_next_manager)
{
	person = 0;
	lock_mailbox();
	start(1, "u1", DELIVER_HOME_MBOX);
	wait_for_person();
	channel_free(&manager);
	end_count = 0;
	manager = link_peer("queue", &job_dialogue, manager_routes);
	run_until(has_ended);
	unlock_mailbox();
	run_until_outcomes(1);
	check_outcome(1, 250, "2.0.0");
}
END_TEST

static const char *const deaths[] = {
    "local-child:create:1:kill", "local-child:write:1:kill",	 "local-child:fsync:1:kill",
    "local-child:rename:1:kill", "local-child:fsync-dir:1:kill",
};
/* The same for each child: so two have died of it, alone. */
START_TEST(a_child_may_die_at_each_step)
{
	if (!disk_faults_built())
		return;
	setenv("STAGEPOST_FAULTS", deaths[_i], 1);
	setup();
	start(1, "u1", DELIVER_MAILDIR);
	start(2, "nobody", DELIVER_MAILDIR);
	run_until_outcomes(2);
	check_outcome(1, 451, "4.3.0");
	check_outcome(2, 550, "5.1.1");
	teardown();
}
END_TEST

/* A child of five messages dies when two are in new/; each of the five goes alone then. */
START_TEST(a_child_that_dies_of_several_loses_none_and_tears_none)
{
	enum { MESSAGES = 5 };
	if (!disk_faults_built())
		return;
	setenv("STAGEPOST_FAULTS", "local-child:rename:3:kill,local-child:link:3:kill", 1);
	setup();
	for (uint64_t i = 1; i <= MESSAGES; i++)
		start(i, "u1", DELIVER_MAILDIR);
	run_until_outcomes(MESSAGES);
	for (uint64_t i = 1; i <= MESSAGES; i++)
		check_outcome(i, 250, "2.0.0");
	ck_assert_uint_eq(tree_count("u1/Maildir", "new"), MESSAGES + 2);
	ck_assert_uint_eq(tree_count("u1/Maildir", "tmp"), 0);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("system");
	TCase *tc = tcase_create("system"), *impatient = tcase_create("impatient"),
	      *deadly = tcase_create("deadly");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, S53_a_maildir_is_made_in_the_home_by_its_user);
	tcase_add_test(tc, S51_a_file_in_the_spool_and_one_in_the_home);
	tcase_add_loop_test(tc, S54_S55_what_can_not_be_delivered_has_its_code, 0,
			    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tc, many_users_have_their_mail_by_few_children);
	tcase_add_test(tc, a_large_message_comes_as_a_descriptor_and_is_checked);
	tcase_add_test(tc, a_message_whose_child_dies_twice_waits_and_others_are_delivered);
	tcase_add_test(tc, a_message_beside_a_death_is_delivered_by_another_child);
	tcase_add_test(tc, a_child_is_kept_for_a_moment_for_the_next_message);
	tcase_add_test(tc, what_comes_together_is_delivered_each_once_in_its_mailbox);
	tcase_add_test(tc, S52_a_child_is_its_user_and_nothing_else);
	tcase_add_test(tc, a_child_that_its_user_has_stopped_keeps_no_place);
	tcase_add_test(tc, the_daemon_ends_when_its_fork_server_has_gone);
	tcase_add_test(tc, outcomes_go_to_the_next_manager);
	suite_add_tcase(s, tc);
	tcase_set_timeout(impatient, 60);
	tcase_add_checked_fixture(impatient, setup_impatient, teardown);
	tcase_add_test(impatient, a_delivery_that_takes_too_long_is_ended_and_waits);
	tcase_add_test(impatient, what_was_delivered_in_time_is_no_delay_of_the_delivery);
	suite_add_tcase(s, impatient);
	tcase_set_timeout(deadly, 60);
	tcase_add_test(deadly, a_child_that_dies_of_several_loses_none_and_tears_none);
	tcase_add_loop_test(deadly, a_child_may_die_at_each_step, 0,
			    sizeof(deaths) / sizeof(deaths[0]));
	suite_add_tcase(s, deadly);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
