/*
 * The daemon in a child process, in its sandbox; the test is master and peer. And the servers that
 * it asks: nsd with root.zone and signed.zone, and misbehave.py. Included once per test program.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/dialogue/resolver.h"
#include "common/os/loop.h"
#include "daemons/resolver/kinds.h"
#include "daemons/resolver/settings.h"
#include "tests/unit/service/begun.h"

#define FOLDER "tests/unit/resolver/"

enum { WAIT_SECONDS = 60, TARGETS_SEEN_MAX = 128, NSD_TRIES = 200, TEXT_SIZE = 512 };

static const struct route daemon_routes[] = {
    {RESOLVE_SITE, ROUTE_ALWAYS, site_asked},
    {RESOLVE_HOSTS, ROUTE_ALWAYS, hosts_asked},
    {RESOLVE_NAME, ROUTE_ALWAYS, name_asked},
    {0, 0, NULL},
};
static const struct service_link daemon_links[] = {
    {"queue", &resolver_dialogue, daemon_routes, questions_up, questions_down},
    {"smtp", &resolver_dialogue, daemon_routes, questions_up, questions_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service daemon_service = {
    .name = "resolver",
    .links = daemon_links,
    .settings = resolver_settings,
    .settings_begin = resolver_settings_begin,
    .setting = resolver_setting,
    .settings_end = resolver_settings_end,
    .descriptor = resolver_descriptor,
    .warm = resolver_warm,
    .start = resolver_start,
};

/* The answer that came last. */
static struct {
	uint64_t request;
	uint32_t code, ttl;
	bool secure, trouble;
	char enhanced[16], text[TEXT_SIZE], site[TEXT_SIZE], name[TEXT_SIZE];
	size_t count;
	struct {
		char host[TEXT_SIZE], address[64];
		uint32_t preference;
		bool best, secure;
	} list[TARGETS_SEEN_MAX];
} seen;
static size_t answer_count, wanted_count;
static struct channel *peer;
static pid_t nsd_pid, misbehaving_pid;
static int misbehaving_end;
static unsigned nsd_port, misbehaving_port;
static char folder[] = "/tmp/test-resolver-XXXXXX";

/* Routes */

static void keep(struct slice s, char *text, size_t size)
{
	ck_assert(slice_copy(s, text, size));
}

static void on_site(struct channel *c, const void *record)
{
	const struct resolve_site_answer *m = record;
	(void)c;
	answer_count++;
	seen.request = m->request;
	seen.code = m->code;
	seen.ttl = m->ttl;
	seen.secure = m->secure;
	keep(m->enhanced, seen.enhanced, sizeof(seen.enhanced));
	keep(m->text, seen.text, sizeof(seen.text));
	keep(m->site, seen.site, sizeof(seen.site));
}

static void on_address(struct channel *c, const void *record)
{
	const struct resolve_address *m = record;
	(void)c;
	ck_assert_uint_lt(seen.count, TARGETS_SEEN_MAX);
	keep(m->host, seen.list[seen.count].host, TEXT_SIZE);
	keep(m->address, seen.list[seen.count].address, 64);
	seen.list[seen.count].preference = m->preference;
	seen.list[seen.count].best = m->best;
	seen.list[seen.count].secure = m->secure;
	seen.count++;
}

static void on_done(struct channel *c, const void *record)
{
	const struct resolve_done *m = record;
	(void)c;
	answer_count++;
	seen.request = m->request;
	seen.code = m->code;
	keep(m->enhanced, seen.enhanced, sizeof(seen.enhanced));
	keep(m->text, seen.text, sizeof(seen.text));
	keep(m->site, seen.site, sizeof(seen.site));
}

static void on_named(struct channel *c, const void *record)
{
	const struct resolve_named *m = record;
	(void)c;
	answer_count++;
	seen.request = m->request;
	seen.trouble = m->trouble;
	keep(m->name, seen.name, sizeof(seen.name));
}

static const struct route peer_routes[] = {
    {RESOLVE_SITE_ANSWER, ROUTE_ALWAYS, on_site},
    {RESOLVE_ADDRESS, ROUTE_ALWAYS, on_address},
    {RESOLVE_DONE, ROUTE_ALWAYS, on_done},
    {RESOLVE_NAMED, ROUTE_ALWAYS, on_named},
    {0, 0, NULL},
};

/* Waiting */

static bool answers_are_there(void)
{
	return answer_count >= wanted_count;
}

static bool (*awaited)(void);

static void look(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
}

static void too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void run_until(bool (*condition)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0};
	awaited = condition;
	loop_turn_add(&turn, look, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), too_late, NULL);
	loop_run();
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

/* Servers */

static void write_nsd_config(const char *path)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"server:\n ip-address: 127.0.0.1@%u\n username: \"\"\n database: \"\"\n"
		" zonesdir: \"%s\"\n pidfile: \"%s/pid\"\n xfrdfile: \"%s/xfrd\"\n"
		" zonelistfile: \"%s/zones\"\n logfile: \"%s/log\"\n server-count: 1\n"
		" xfrdir: \"%s\"\n rrl-ratelimit: 0\n"
		"remote-control:\n control-enable: no\n"
		"zone:\n name: .\n zonefile: root.zone\n"
		"zone:\n name: signed.test\n zonefile: signed.zone\n",
		nsd_port, FOLDER, folder, folder, folder, folder, folder);
	fclose(f);
}

static bool port_is_free(int type, unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type, 0);
	bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return is_free;
}

/* Below those that the kernel gives to clients. */
static unsigned free_port(void)
{
	unsigned port;
	do
		port = 10000 + arc4random_uniform(20000);
	while (!port_is_free(SOCK_DGRAM, port) || !port_is_free(SOCK_STREAM, port));
	return port;
}

/* Asks for ". SOA" until it answers; false: it has ended. */
static bool await_nsd(void)
{
	static const uint8_t question[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1};
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)nsd_port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char octets[512];
	bool served = false;
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	for (int i = 0; i < NSD_TRIES && !served; i++) {
		served = send(fd, question, sizeof(question), 0) > 0 && poll(&p, 1, 50) == 1 &&
			 recv(fd, octets, sizeof(octets), MSG_DONTWAIT) > 0;
		if (!served && waitpid(nsd_pid, NULL, WNOHANG) != 0)
			break;
		if (!served)
			poll(NULL, 0, 20); /* refused: it does not listen yet */
	}
	close(fd);
	return served;
}

/* Somebody else may take the port in between. */
static void start_nsd(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/nsd.conf", folder);
	for (int i = 0; i < 5; i++) {
		nsd_port = free_port();
		write_nsd_config(path);
		nsd_pid = fork();
		if (nsd_pid == 0) {
			execl("/usr/sbin/nsd", "nsd", "-d", "-c", path, NULL);
			_exit(127);
		}
		if (await_nsd())
			return;
	}
	ck_abort_msg("nsd does not serve");
}

static void start_misbehaving(void)
{
	int in[2], out[2];
	char text[16] = "";
	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	misbehaving_pid = fork();
	if (misbehaving_pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("/usr/bin/python3", "python3", FOLDER "misbehave.py", NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	misbehaving_end = in[1];
	ck_assert_int_gt(TEMP_FAILURE_RETRY(read(out[0], text, sizeof(text) - 1)), 0);
	close(out[0]);
	misbehaving_port = (unsigned)atoi(text);
	ck_assert_uint_gt(misbehaving_port, 0);
}

static void servers_setup(void)
{
	memset(folder + strlen(folder) - 6, 'X', 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	start_nsd();
	start_misbehaving();
}

static void servers_teardown(void)
{
	static const char *const files[] = {"nsd.conf", "pid", "xfrd", "zones", "log", "empty"};
	char path[64];
	kill(nsd_pid, SIGTERM);
	waitpid(nsd_pid, NULL, 0);
	close(misbehaving_end);
	kill(misbehaving_pid, SIGKILL);
	waitpid(misbehaving_pid, NULL, 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		remove(path);
	}
	rmdir(folder);
}

/* The daemon */

/* The ports are put into the text. */
static void send_settings(uint64_t generation, unsigned port, const char *anchor,
			  const char *insecure)
{
	struct master_settings_begin begin = {generation};
	struct master_settings_end end = {generation};
	struct settings_network ours = {.role = SLICE("addresses"),
					.network = SLICE("198.51.100.0/24")};
	struct settings_network trusted = {.role = SLICE("trust"),
					   .network = SLICE("192.0.2.0/24")};
	struct settings_resolver s = {.anchor = slice_str(anchor), .insecure = slice_str(insecure)};
	char servers[64];
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	s.servers = port ? slice_str(servers) : SLICE_EMPTY;
	channel_send(master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_resolver_record, &s);
	send_setting(&settings_network_record, &ours);
	send_setting(&settings_network_record, &trusted);
	channel_send(master, MASTER_SETTINGS_END, &end);
}

static void send_file(const char *name, const char *detail, const char *content)
{
	struct master_descriptor m = {
	    .kind = SLICE("file"), .name = slice_str(name), .detail = slice_str(detail)};
	FILE *f = tmpfile();
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(content, f), 0);
	ck_assert_int_eq(fflush(f), 0);
	m.fd = fileno(f);
	ck_assert(channel_send(master, MASTER_DESCRIPTOR, &m));
	fclose(f);
}

static void go(uint64_t generation)
{
	struct master_go m = {generation};
	ready = false;
	channel_send(master, MASTER_GO, &m);
	run_until(is_ready);
}

static void start_daemon(unsigned port, const char *anchor, const char *insecure)
{
	char path[64];
	begin_daemon(&daemon_service);
	snprintf(path, sizeof(path), "%s/empty", folder);
	mkdir(path, 0555);
	send_place("resolver", NOBODY, open(path, O_RDONLY | O_DIRECTORY));
	send_settings(1, port, anchor ? "/anchor" : "", insecure);
	if (anchor)
		send_file("/anchor", "anchor", anchor);
	peer = link_peer("queue", &resolver_dialogue, peer_routes);
	go(1);
}

static void stop_daemon(void)
{
	int status = -1;
	if (waitpid(pid, &status, WNOHANG) != 0)
		ck_abort_msg("the daemon died: %x", (unsigned)status);
	end_daemon();
	channel_free(&peer);
}

/* Asking */

static void await_answers(size_t count)
{
	wanted_count = count;
	run_until(answers_are_there);
}

static void begin_asking(void)
{
	memset(&seen, 0, sizeof(seen));
	answer_count = 0;
}

static void ask_site(const char *domain)
{
	struct resolve_site m = {.request = 7, .domain = slice_str(domain)};
	begin_asking();
	ck_assert(channel_send(peer, RESOLVE_SITE, &m));
	await_answers(1);
	ck_assert_msg(seen.request == 7, "%lu %s", seen.request, seen.text);
}

static void ask_hosts(const char *name, bool mx, uint32_t port)
{
	struct resolve_hosts m = {.request = 8, .name = slice_str(name), .mx = mx, .port = port};
	begin_asking();
	ck_assert(channel_send(peer, RESOLVE_HOSTS, &m));
	await_answers(1);
	ck_assert_uint_eq(seen.request, 8);
}

static void ask_name(const char *address)
{
	struct resolve_name m = {.request = 9, .address = slice_str(address)};
	begin_asking();
	ck_assert(channel_send(peer, RESOLVE_NAME, &m));
	await_answers(1);
	ck_assert_uint_eq(seen.request, 9);
}
