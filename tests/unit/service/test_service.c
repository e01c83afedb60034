/*
 * A daemon's life, with the test as its master: a child process runs service_run() for real, in its
 * sandbox, and tells what it sees as log lines.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/config/settings.h"
#include "common/dialogue/master.h"
#include "common/os/log_output.h"
#include "common/os/loop.h"
#include "common/service/service.h"
#include "common/wire/codec.h"

enum { NOBODY = 65534 }; /* taken when the test is run by root */

/* The daemon */

static void say_setting(const struct record *record, const void *value)
{
	const struct settings_server *server = value;
	log_info("setting %s %.*s", record->name, SLICE_FMT(server->hostname));
}

static void say_begin(void)
{
	log_info("settings begin");
}

static void say_end(void)
{
	log_info("settings end");
}

static void say_descriptor(const struct service_descriptor *d)
{
	log_info("descriptor %.*s %.*s", SLICE_FMT(d->kind), SLICE_FMT(d->name));
	close(d->fd);
}

static void say_start(void)
{
	log_info("start");
}

static void say_orphaned(void)
{
	log_info("orphaned");
}

static void link_up(struct channel *c, unsigned instance)
{
	struct master_ready hello = {.generation = 40 + instance};
	channel_send(c, MASTER_READY, &hello);
	log_info("up %s %u", service_peer("queue") == c ? "queue" : "?", instance);
}

static void link_down(struct channel *c)
{
	(void)c;
	log_info("down");
}

/* A link takes MASTER_GO and nothing else: any dialogue serves. */
static void link_go(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
	log_info("go on the link");
}

static const struct route link_routes[] = {{MASTER_GO, ROUTE_ALWAYS, link_go}, {0}};
static const struct service_link links[] = {
    {"queue", &master_dialogue, link_routes, link_up, link_down},
    {0},
};
static const struct record *const settings[] = {&settings_server_record, NULL};
static const struct service router = {
    .name = "router",
    .links = links,
    .settings = settings,
    .settings_begin = say_begin,
    .setting = say_setting,
    .settings_end = say_end,
    .descriptor = say_descriptor,
    .start = say_start,
    .orphaned = say_orphaned,
};

/* A daemon that has a directory, and tries to leave it. */
static int own_dir = -1;

static void keep_directory(const struct service_descriptor *d)
{
	if (slice_equal(d->kind, SLICE("directory")))
		own_dir = d->fd;
}

static void say_where_up_leads(void)
{
	struct stat own, up;
	int fd = openat(own_dir, "../../../..", O_RDONLY | O_DIRECTORY);
	if (fstat(own_dir, &own) < 0)
		fatal("its directory can't be looked at");
	if (fd < 0)
		log_info("up is refused");
	else if (fstat(fd, &up) == 0 && up.st_ino == own.st_ino && up.st_dev == own.st_dev)
		log_info("up is where it is");
	else
		log_info("up is outside");
}

static const struct service queue = {
    .name = "queue", .descriptor = keep_directory, .start = say_where_up_leads};

/* The master */

static struct channel *daemon_channel;
static int log_fd;
static pid_t daemon_pid;
static uint64_t ready, drained;
static struct master_lost lost;

static void on_ready(struct channel *c, const void *record)
{
	const struct master_ready *m = record;
	(void)c;
	ready = m->generation;
	loop_stop();
}

static void on_drained(struct channel *c, const void *record)
{
	const struct master_drained *m = record;
	(void)c;
	drained = m->generation;
}

static void on_lost(struct channel *c, const void *record)
{
	(void)c;
	lost = *(const struct master_lost *)record;
	lost.peer = SLICE_EMPTY;
	loop_stop();
}

static void on_closed(struct channel *c)
{
	(void)c;
	loop_stop();
}

static const struct route routes[] = {
    {MASTER_READY, ROUTE_ALWAYS, on_ready},
    {MASTER_DRAINED, ROUTE_ALWAYS, on_drained},
    {MASTER_LOST, ROUTE_ALWAYS, on_lost},
    {0},
};

static void begin_daemon_of(const struct service *service)
{
	int channel[2], log[2];
	char *argv[] = {(char[]){"router"}, NULL};
	ck_assert(channel_pair(channel));
	ck_assert(channel_pair(log));
	daemon_pid = fork();
	ck_assert_int_ge(daemon_pid, 0);
	if (daemon_pid == 0) {
		int a = dup(channel[1]), b = dup(log[1]);
		dup2(a, 20);
		dup2(b, 21);
		dup2(20, 3);
		dup2(21, 4);
		for (int fd = 5; fd < 64; fd++)
			close(fd);
		_exit(service_run(service, 1, argv));
	}
	close(channel[1]);
	close(log[1]);
	log_fd = log[0];
	ready = drained = 0;
	lost = (struct master_lost){0};
	daemon_channel = channel_open(channel[0], &master_dialogue, routes, on_closed, NULL);
}

static void begin_daemon(void)
{
	begin_daemon_of(&router);
}

static int end_daemon(void)
{
	int status = -1;
	ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
	channel_free(&daemon_channel);
	close(log_fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void send_begin(void)
{
	struct master_begin m = {
	    .role = SLICE("router"), .one_uid = true, .uid = NOBODY, .gid = NOBODY};
	ck_assert(channel_send(daemon_channel, MASTER_BEGIN, &m));
}

static void send_record(const struct record *record, const void *value)
{
	struct buffer b;
	struct master_setting m = {.record = slice_str(record->name)};
	buffer_init(&b, SETTINGS_MAX);
	ck_assert(codec_encode(record, value, &b));
	m.value = buffer_slice(&b);
	ck_assert(channel_send(daemon_channel, MASTER_SETTING, &m));
	buffer_free(&b);
}

static void send_settings(uint64_t generation)
{
	struct master_settings_begin begin = {generation};
	struct master_settings_end end = {generation};
	struct settings_server server = {.hostname = SLICE("mx.example")};
	struct settings_log log = {.target = SLICE("stderr")};
	channel_send(daemon_channel, MASTER_SETTINGS_BEGIN, &begin);
	send_record(&settings_server_record, &server);
	send_record(&settings_log_record, &log);
	channel_send(daemon_channel, MASTER_SETTINGS_END, &end);
}

static void send_go(void)
{
	struct master_go m = {0};
	channel_send(daemon_channel, MASTER_GO, &m);
	loop_run();
}

/* The text of all lines so far, each with a newline. */
static void read_lines(char *text, size_t size)
{
	char packet[LOG_PACKET_MAX];
	size_t len = 0;
	ssize_t n;
	text[0] = '\0';
	while ((n = recv(log_fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		struct slice rest = slice_make(packet, (size_t)n);
		struct log_entry entry;
		while (log_output_next(&rest, &entry))
			len += (size_t)snprintf(text + len, size - len, "%.*s\n",
						SLICE_FMT(entry.text));
	}
}

static void assert_line(const char *text, const char *line)
{
	ck_assert_msg(strstr(text, line) != NULL, "no line %s in\n%s", line, text);
}

START_TEST(serves_after_go_and_says_with_which_settings)
{
	begin_daemon();
	send_begin();
	send_settings(7);
	send_go();
	ck_assert_uint_eq(ready, 7);
	send_settings(8);
	send_go();
	ck_assert_uint_eq(ready, 8);
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(gets_only_the_settings_that_it_lists)
{
	char text[8192];
	begin_daemon();
	send_begin();
	send_settings(1);
	send_go();
	read_lines(text, sizeof(text));
	assert_line(text, "settings begin");
	assert_line(text, "setting settings_server mx.example");
	assert_line(text, "settings end");
	ck_assert_ptr_null(strstr(text, "settings_log"));
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(ends_at_once_when_the_master_is_gone)
{
	begin_daemon();
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(ignores_a_polite_kill)
{
	begin_daemon();
	send_begin();
	send_settings(1);
	send_go();
	kill(daemon_pid, SIGTERM);
	kill(daemon_pid, SIGINT);
	send_settings(2);
	send_go();
	ck_assert_uint_eq(ready, 2);
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(drains_and_ends)
{
	struct master_drain m = {.limit = 1000000};
	begin_daemon();
	send_begin();
	send_settings(3);
	send_go();
	channel_send(daemon_channel, MASTER_DRAIN, &m);
	loop_run();
	ck_assert_uint_eq(drained, 3);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(ends_when_told_to_drain_before_it_served)
{
	struct master_drain m = {.limit = 1000000};
	begin_daemon();
	channel_send(daemon_channel, MASTER_DRAIN, &m);
	loop_run();
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(refuses_a_second_begin)
{
	begin_daemon();
	send_begin();
	send_begin();
	loop_run();
	ck_assert_int_eq(end_daemon(), 0); /* its channel is broken: the master is gone */
}
END_TEST

static void send_link(int fd)
{
	struct master_link m = {.peer = SLICE("queue"), .instance = 2, .number = 7, .fd = fd};
	ck_assert(channel_send(daemon_channel, MASTER_LINK, &m));
	close(fd);
}

START_TEST(opens_links_and_tells_of_lost_ones)
{
	char text[8192];
	int pair[2];
	struct channel *peer;
	ck_assert(channel_pair(pair));
	begin_daemon();
	send_begin();
	send_settings(1);
	send_link(pair[1]);
	send_go();
	ck_assert_uint_eq(ready, 1);
	peer = channel_open(pair[0], &master_dialogue, routes, on_closed, NULL);
	loop_run();
	ck_assert_uint_eq(ready, 42); /* what link_up() sent */
	channel_free(&peer);
	loop_run();
	ck_assert_uint_eq(lost.instance, 2);
	ck_assert_uint_eq(lost.number, 7);
	ck_assert(!lost.broken);
	read_lines(text, sizeof(text));
	assert_line(text, "up queue 2");
	assert_line(text, "down");
	ck_assert_ptr_nonnull(strstr(text, "up queue 2"));
	ck_assert(strstr(text, "text=start") < strstr(text, "up queue 2"));
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(tells_that_a_peer_broke_the_rules)
{
	int pair[2];
	ck_assert(channel_pair(pair));
	begin_daemon();
	send_begin();
	send_settings(1);
	send_link(pair[1]);
	send_go();
	ck_assert_int_eq(send(pair[0], "garbage", 7, 0), 7);
	loop_run();
	ck_assert(lost.broken);
	close(pair[0]);
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(a_fresh_link_replaces_the_old_one)
{
	char text[8192];
	int first[2], second[2];
	struct channel *peer;
	ck_assert(channel_pair(first));
	ck_assert(channel_pair(second));
	begin_daemon();
	send_begin();
	send_settings(1);
	send_link(first[1]);
	send_go();
	send_link(second[1]);
	peer = channel_open(second[0], &master_dialogue, routes, on_closed, NULL);
	loop_run();
	ck_assert_uint_eq(ready, 42);
	read_lines(text, sizeof(text));
	assert_line(text, "down");
	close(first[0]);
	channel_free(&peer);
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(hands_descriptors_to_the_daemon)
{
	char text[8192];
	struct master_descriptor m = {.kind = SLICE("file"), .name = SLICE("file:x"), .fd = 0};
	begin_daemon();
	send_begin();
	send_settings(1);
	ck_assert(channel_send(daemon_channel, MASTER_DESCRIPTOR, &m));
	send_go();
	read_lines(text, sizeof(text));
	assert_line(text, "descriptor file file:x");
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

/* Else a reload has a moment in which a table is named whose file is still on its way. */
START_TEST(a_new_set_is_taken_when_its_files_are_there)
{
	char text[8192];
	struct master_descriptor m = {.kind = SLICE("file"), .name = SLICE("file:x"), .fd = 0};
	begin_daemon();
	send_begin();
	send_settings(1);
	send_go();
	read_lines(text, sizeof(text));
	send_settings(2);
	ck_assert(channel_send(daemon_channel, MASTER_DESCRIPTOR, &m));
	send_go();
	ck_assert_uint_eq(ready, 2);
	read_lines(text, sizeof(text));
	assert_line(text, "settings end");
	ck_assert_ptr_nonnull(strstr(strstr(text, "descriptor file file:x"), "settings end"));
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
}
END_TEST

START_TEST(a_daemon_with_one_directory_has_it_for_its_root)
{
	char text[8192], path[] = "/tmp/test-service-XXXXXX";
	struct master_begin m = {.role = SLICE("queue"), .uid = NOBODY, .gid = NOBODY};
	struct master_descriptor d = {.kind = SLICE("directory"), .name = SLICE("spool")};
	if (getuid() != 0)
		return; /* nobody else may change his root */
	ck_assert_ptr_nonnull(mkdtemp(path));
	d.fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(fchown(d.fd, NOBODY, NOBODY), 0);
	begin_daemon_of(&queue);
	ck_assert(channel_send(daemon_channel, MASTER_BEGIN, &m));
	ck_assert(channel_send(daemon_channel, MASTER_DESCRIPTOR, &d));
	d.kind = SLICE("empty");
	ck_assert(channel_send(daemon_channel, MASTER_DESCRIPTOR, &d));
	send_settings(1);
	send_go();
	read_lines(text, sizeof(text));
	assert_line(text, "up is where it is");
	channel_free(&daemon_channel);
	ck_assert_int_eq(end_daemon(), 0);
	close(d.fd);
	rmdir(path);
}
END_TEST

START_TEST(is_not_started_by_hand)
{
	char *argv[] = {(char[]){"router"}, NULL};
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		close(2);
		close(3);
		close(4);
		_exit(service_run(&router, 1, argv));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EX_USAGE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service");
	TCase *t = tcase_create("life");
	SRunner *sr;
	int failed;
	tcase_add_test(t, serves_after_go_and_says_with_which_settings);
	tcase_add_test(t, gets_only_the_settings_that_it_lists);
	tcase_add_test(t, ends_at_once_when_the_master_is_gone);
	tcase_add_test(t, ignores_a_polite_kill);
	tcase_add_test(t, drains_and_ends);
	tcase_add_test(t, ends_when_told_to_drain_before_it_served);
	tcase_add_test(t, refuses_a_second_begin);
	tcase_add_test(t, opens_links_and_tells_of_lost_ones);
	tcase_add_test(t, tells_that_a_peer_broke_the_rules);
	tcase_add_test(t, a_fresh_link_replaces_the_old_one);
	tcase_add_test(t, hands_descriptors_to_the_daemon);
	tcase_add_test(t, a_new_set_is_taken_when_its_files_are_there);
	tcase_add_test(t, a_daemon_with_one_directory_has_it_for_its_root);
	tcase_add_test(t, is_not_started_by_hand);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
