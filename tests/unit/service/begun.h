/*
 * A daemon in a child, and its master, which is the test. Included once per test program.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/dialogue/master.h"
#include "common/os/loop.h"
#include "common/service/service.h"
#include "common/wire/codec.h"

enum { NOBODY = 65534 };

static struct channel *master;
static pid_t pid;
static int log_fd; /* the master's end: lines lie there unread */
static bool ready, drained;

static inline void on_ready(struct channel *c, const void *record)
{
	(void)c, (void)record;
	ready = true;
}

static inline void on_drained(struct channel *c, const void *record)
{
	(void)c, (void)record;
	drained = true;
}

static inline void ignore_record(struct channel *c, const void *record)
{
	(void)c, (void)record;
}

static inline void ignore_close(struct channel *c)
{
	(void)c;
}

static const struct route master_routes[] = {
    {MASTER_READY, ROUTE_ALWAYS, on_ready},
    {MASTER_DRAINED, ROUTE_ALWAYS, on_drained},
    {MASTER_LOST, ROUTE_ALWAYS, ignore_record},
    {0, 0, NULL},
};

static inline bool is_ready(void)
{
	return ready;
}

/* It has no descriptor of the test's, and room for a title of its process. */
static inline void begin_daemon(const struct service *service)
{
	int channel[2], log[2];
	char title[] = "stagepost: with much room for the title of a process";
	char *argv[] = {title, NULL};
	ck_assert(channel_pair(channel) && channel_pair(log));
	ready = drained = false;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		loop_forget();
		dup2(channel[1], 20);
		dup2(log[1], 21);
		dup2(20, 3);
		dup2(21, 4);
		for (int fd = 5; fd < 64; fd++)
			close(fd);
		_exit(service_run(service, 1, argv));
	}
	close(channel[1]);
	close(log[1]);
	log_fd = log[0];
	master = channel_open(channel[0], &master_dialogue, master_routes, ignore_close, NULL);
}

static inline void end_daemon(void)
{
	int status = -1;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	channel_free(&master);
	close(log_fd);
}

/* As root: another user, and an empty directory (whose descriptor is closed here) as its root. */
static inline void send_place(const char *role, uint32_t uid, int empty)
{
	struct master_begin begin = {
	    .role = slice_str(role), .one_uid = getuid() != 0, .uid = uid, .gid = uid};
	struct master_descriptor m = {.kind = SLICE("empty"), .name = SLICE("empty"), .fd = empty};
	ck_assert_int_ge(empty, 0);
	ck_assert(channel_send(master, MASTER_BEGIN, &begin));
	ck_assert(channel_send(master, MASTER_DESCRIPTOR, &m));
	close(empty);
}

static inline void send_setting(const struct record *record, const void *value)
{
	struct buffer b;
	struct master_setting m = {.record = slice_str(record->name)};
	buffer_init(&b, SETTINGS_MAX);
	ck_assert(codec_encode(record, value, &b));
	m.value = buffer_slice(&b);
	ck_assert(channel_send(master, MASTER_SETTING, &m));
	buffer_free(&b);
}

/* The other end of its link to that peer. */
static inline struct channel *link_peer(const char *peer, const struct dialogue *d,
					const struct route *routes)
{
	int fds[2];
	struct master_link m = {.peer = slice_str(peer)};
	ck_assert(channel_pair(fds));
	m.fd = fds[1];
	ck_assert(channel_send(master, MASTER_LINK, &m));
	close(fds[1]);
	return channel_open(fds[0], d, routes, ignore_close, NULL);
}
