/*
 * sockets: a daemon gets connections to what the configuration names, and to nothing else.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/os/loop.h"
#include "master/sockets.h"

static char folder[64], path[96], name[108];
static struct config *config;
static struct process process;
static struct channel *daemon_end;
static int listener = -1;
static char kind[ROLE_MAX + 1], detail[ROLE_MAX + 1];
static int got;

static void on_descriptor(struct channel *c, const void *record)
{
	const struct master_descriptor *m = record;

	(void)c;
	ck_assert(slice_copy(m->kind, kind, sizeof(kind)));
	ck_assert(slice_copy(m->detail, detail, sizeof(detail)));
	got = m->fd;
	loop_stop();
}

static const struct route routes[] = {
    {MASTER_DESCRIPTOR, ROUTE_ALWAYS, on_descriptor},
    {0, 0, NULL},
};
static const struct route none[] = {{0, 0, NULL}};

static void closed(struct channel *c)
{
	(void)c;
	ck_abort_msg("a channel has closed");
}

static void setup(void)
{
	static const struct config_host host = {"mx.example.com", NULL};
	char file[96];
	int fds[2];
	struct error e = {0};
	FILE *f;

	snprintf(folder, sizeof(folder), "/tmp/test-sockets-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/auth", folder);
	snprintf(name, sizeof(name), "unix:%s", path);
	snprintf(file, sizeof(file), "%s/conf", folder);
	f = fopen(file, "w");
	fprintf(f, "auth { passwords dovecot %s }\n", name);
	fclose(f);
	ck_assert_msg(config_load_for(&host, file, &config, &e), "%s", e.text);
	unlink(file);
	ck_assert(channel_pair(fds));
	process = (struct process){.state = PROCESS_SERVING};
	process.channel = channel_open(fds[0], &master_dialogue, none, closed, &process);
	daemon_end = channel_open(fds[1], &master_dialogue, routes, closed, NULL);
}

static void teardown(void)
{
	config_free(&config);
	unlink(path);
	rmdir(folder);
}

static void want(const char *what)
{
	kind[0] = '\0';
	got = -1;
	sockets_want(config, &process, slice_str(what));
	while (kind[0] == '\0')
		loop_run();
}

static void listen_there(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memcpy(a.sun_path, path, strlen(path) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
}

START_TEST(gives_a_connection_to_what_is_named)
{
	char octet = 0;
	int peer;

	listen_there();
	want(name);
	ck_assert_str_eq(kind, "socket");
	ck_assert_int_ge(got, 0);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_eq(write(got, "x", 1), 1);
	ck_assert_int_eq(read(peer, &octet, 1), 1);
	ck_assert_int_eq(octet, 'x');
	/* the master keeps no end of it */
	close(got);
	ck_assert_int_eq(read(peer, &octet, 1), 0);
}
END_TEST

START_TEST(gives_none_where_nobody_listens)
{
	want(name);
	ck_assert_str_eq(kind, "no-socket");
	ck_assert_int_eq(got, -1);
	ck_assert_str_ne(detail, "");
}
END_TEST

START_TEST(gives_nothing_that_is_not_named)
{
	static const char *const others[] = {"", "unix:", "unix:/run/stagepost/control",
					     "/etc/passwd"};

	listen_there();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		want(others[i]);
		ck_assert_str_eq(kind, "no-socket");
		ck_assert_int_eq(got, -1);
	}
	want(path); /* without unix: */
	ck_assert_str_eq(kind, "no-socket");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sockets");
	TCase *t = tcase_create("sockets");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, gives_a_connection_to_what_is_named);
	tcase_add_test(t, gives_none_where_nobody_listens);
	tcase_add_test(t, gives_nothing_that_is_not_named);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
