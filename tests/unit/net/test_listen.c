/*
 * Listening sockets and accepting from them.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/net/listen.h"
#include "common/os/clock.h"
#include "tests/unit/net/turns.h"

static struct acceptor *acceptor;
static size_t accepted, wanted;
static int last_fd = -1;
static struct net_address last_peer;
static bool got, pause_at_call, free_at_call;

static void on_accept(void *arg, int fd, const struct net_address *peer)
{
	(void)arg;
	accepted++;
	got = accepted >= wanted;
	if (last_fd >= 0)
		close(last_fd);
	last_fd = fd;
	last_peer = *peer;
	if (pause_at_call)
		acceptor_pause(acceptor);
	if (free_at_call)
		acceptor_free(&acceptor);
}

static struct net_address address(const char *text)
{
	struct net_address a;
	ck_assert_msg(net_address_parse(slice_str(text), &a), "%s", text);
	return a;
}

/* Listens on a free port; *port is it. */
static int listen_somewhere(struct net_address a, unsigned *port)
{
	struct error e;
	for (*port = 20000 + (unsigned)getpid() % 20000; *port < 60000; ++*port) {
		a.port = (uint16_t)*port;
		int fd = listen_open(&a, 0600, &e);
		if (fd >= 0)
			return fd;
		ck_assert_msg(e.code == EADDRINUSE, "%s", e.text);
	}
	ck_abort_msg("no free port");
	return -1;
}

static int connect_to(const char *ip, unsigned port)
{
	struct net_address a;
	struct sockaddr_storage to;
	ck_assert(net_ip_parse(slice_str(ip), &a));
	a.port = (uint16_t)port;
	socklen_t len = net_address_to(&a, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&to, len) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool have = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
	close(fd);
	return have;
}

START_TEST(connections_arrive_ready_for_use)
{
	unsigned port;
	int delay = 0;
	socklen_t len = sizeof(delay);
	acceptor = acceptor_open(listen_somewhere(address("127.0.0.1:1"), &port), on_accept, NULL);
	int fd = connect_to("127.0.0.1", port);
	wanted = 1;
	run_until(&got);
	struct net_address local = address("127.0.0.1:1");
	ck_assert(net_address_same_host(&last_peer, &local));
	ck_assert_uint_ne(last_peer.port, 0);
	ck_assert(fcntl(last_fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(last_fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(getsockopt(last_fd, IPPROTO_TCP, TCP_NODELAY, &delay, &len), 0);
	ck_assert_int_ne(delay, 0);
	close(fd);
	acceptor_free(&acceptor);
	ck_assert_int_eq(connect_to("127.0.0.1", port), -1);
}
END_TEST

START_TEST(the_star_takes_both_families)
{
	unsigned port;
	acceptor = acceptor_open(listen_somewhere(address("*:1"), &port), on_accept, NULL);
	ck_assert_int_ge(connect_to("127.0.0.1", port), 0);
	wanted = 1;
	run_until(&got);
	ck_assert_int_eq(last_peer.family, NET_IPV4);
	if (!have_ipv6())
		return;
	ck_assert_int_ge(connect_to("::1", port), 0);
	wanted = 2;
	got = false;
	run_until(&got);
	ck_assert_int_eq(last_peer.family, NET_IPV6);
}
END_TEST

START_TEST(an_ipv6_address_is_ipv6_alone)
{
	unsigned port;
	if (!have_ipv6())
		return;
	listen_somewhere(address("[::]:1"), &port);
	ck_assert_int_ge(connect_to("::1", port), 0);
	ck_assert_int_eq(connect_to("127.0.0.1", port), -1);
}
END_TEST

START_TEST(a_taken_address_is_named)
{
	unsigned port;
	char text[NET_ADDRESS_TEXT];
	struct error e;
	struct net_address a = address("127.0.0.1:1");
	listen_somewhere(a, &port);
	a.port = (uint16_t)port;
	net_address_format(&a, text);
	ck_assert_int_eq(listen_open(&a, 0600, &e), -1);
	ck_assert_int_eq(e.code, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(e.text, text));
	a = address("192.0.2.1:25"); /* not of this machine */
	ck_assert_int_eq(listen_open(&a, 0600, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "192.0.2.1:25"));
}
END_TEST

/* A fresh directory whose path alone is longer than a socket's name may be. */
static void long_directory(char *path, size_t size)
{
	snprintf(path, size, "/tmp/stagepost-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	snprintf(path + strlen(path), size - strlen(path), "/%0150d", 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(a_unix_socket_has_any_path_and_its_mode)
{
	char path[400], text[500];
	struct stat st;
	struct error e;
	long_directory(path, sizeof(path));
	int dir = open(path, O_RDONLY | O_DIRECTORY);
	snprintf(text, sizeof(text), "unix:%s/smtp", path);
	struct net_address a = address(text);
	umask(077);
	close(listen_open(&a, 0600, &e)); /* what it leaves is replaced */
	int fd = listen_open(&a, 0666, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_int_eq(fstatat(dir, "smtp", &st, 0), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	ck_assert_uint_eq(umask(077), 077);
	acceptor = acceptor_open(fd, on_accept, NULL);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/smtp", dir);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&un, sizeof(un)), 0);
	wanted = 1;
	run_until(&got);
	ck_assert_int_eq(last_peer.family, NET_UNIX);
	unlinkat(dir, "smtp", 0);
	close(openat(dir, "smtp", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(listen_open(&a, 0600, &e), -1);
	ck_assert_int_eq(e.code, EEXIST);
	unlinkat(dir, "smtp", 0);
	rmdir(path);
	ck_assert_int_eq(listen_open(&a, 0600, &e), -1);
	ck_assert_int_eq(e.code, ENOENT);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}
END_TEST

START_TEST(a_turn_takes_a_portion_and_a_pause_takes_none)
{
	static int clients[200];
	unsigned port;
	acceptor = acceptor_open(listen_somewhere(address("127.0.0.1:1"), &port), on_accept, NULL);
	for (int i = 0; i < 200; i++)
		clients[i] = connect_to("127.0.0.1", port);
	wanted = 1;
	run_until(&got);
	ck_assert_uint_eq(accepted, ACCEPT_TURN_MAX);
	acceptor_pause(acceptor);
	run_for(5000);
	ck_assert_uint_eq(accepted, ACCEPT_TURN_MAX);
	acceptor_resume(acceptor);
	pause_at_call = true;
	run_for(5000);
	ck_assert_uint_eq(accepted, ACCEPT_TURN_MAX + 1);
	pause_at_call = got = false;
	acceptor_resume(acceptor);
	wanted = 200;
	run_until(&got);
	for (int i = 0; i < 200; i++)
		close(clients[i]);
}
END_TEST

START_TEST(out_of_descriptors_it_rests_and_goes_on)
{
	unsigned port;
	struct rlimit limit;
	struct rusage before, after;
	acceptor = acceptor_open(listen_somewhere(address("127.0.0.1:1"), &port), on_accept, NULL);
	int client = connect_to("127.0.0.1", port);
	run_for(0); /* the loop has its own descriptors now */
	client = client >= 0 ? connect_to("127.0.0.1", port) : -1;
	ck_assert_int_ge(client, 0);
	size_t at_first = accepted;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t normal = limit.rlim_cur;
	limit.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	getrusage(RUSAGE_SELF, &before);
	uint64_t start = clock_boot_us();
	run_for(ACCEPT_RETRY_US * 2);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_uint_eq(accepted, at_first);
	ck_assert_uint_ge(clock_boot_us() - start, ACCEPT_RETRY_US);
	ck_assert_int_lt(after.ru_nvcsw - before.ru_nvcsw, 20); /* it slept, did not spin */
	limit.rlim_cur = normal;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	wanted = at_first + 1;
	got = false;
	run_until(&got);
}
END_TEST

START_TEST(it_may_be_freed_in_its_own_call)
{
	unsigned port;
	acceptor = acceptor_open(listen_somewhere(address("127.0.0.1:1"), &port), on_accept, NULL);
	free_at_call = true;
	wanted = 1;
	connect_to("127.0.0.1", port);
	connect_to("127.0.0.1", port);
	run_until(&got);
	ck_assert_ptr_null(acceptor);
	run_for(1000);
	ck_assert_uint_eq(accepted, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("listen");
	TCase *t = tcase_create("listen");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, connections_arrive_ready_for_use);
	tcase_add_test(t, the_star_takes_both_families);
	tcase_add_test(t, an_ipv6_address_is_ipv6_alone);
	tcase_add_test(t, a_taken_address_is_named);
	tcase_add_test(t, a_unix_socket_has_any_path_and_its_mode);
	tcase_add_test(t, a_turn_takes_a_portion_and_a_pause_takes_none);
	tcase_add_test(t, out_of_descriptors_it_rests_and_goes_on);
	tcase_add_test(t, it_may_be_freed_in_its_own_call);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
