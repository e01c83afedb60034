/*
 * listen: makes listening sockets, and accepts from them in portions, so that a flood of
 * connections does not starve the sessions that are there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/listen.h"
#include "common/os/disk.h"
#include "common/os/loop.h"

static int failed(const struct net_address *a, int fd, struct error *e, const char *what)
{
	char text[NET_ADDRESS_TEXT];
	int code = errno;
	if (fd >= 0)
		close(fd);
	net_address_format(a, text);
	const char *hint = "";
	if (code == EACCES && a->family != NET_UNIX)
		hint = " (ports below 1024 need root)";
	if (code == EADDRINUSE)
		hint = ": another program listens there";
	error_set(e, code, "can't listen on %s: %s%s%s%s", text, what, *what ? ": " : "",
		  strerror(code), hint);
	return -1;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* NET_ANY as one socket of IPv6 that takes IPv4 too, else of IPv4 alone; *len says which. */
static int any_socket(const struct net_address *a, struct sockaddr_storage *to, socklen_t *len)
{
	struct net_address all = {.family = NET_IPV6, .port = a->port};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		all.family = NET_IPV4;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	*len = net_address_to(&all, to);
	return fd;
}

static int listen_ip(const struct net_address *a, struct error *e)
{
	struct sockaddr_storage to;
	socklen_t len;
	int fd;
	if (a->family == NET_ANY) {
		fd = any_socket(a, &to, &len);
	} else {
		len = net_address_to(a, &to);
		fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0)
		return failed(a, fd, e, "no socket");
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return failed(a, fd, e, "options");
	if (to.ss_family == AF_INET6 &&
	    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, a->family == NET_IPV6) < 0)
		return failed(a, fd, e, "options");
	if (bind(fd, (struct sockaddr *)&to, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return failed(a, fd, e, "");
	return fd;
}

/* Removes a socket file that an earlier process has left. */
static bool make_way(int dir, const char *name)
{
	struct stat st;
	if (disk_stat_at(dir, name, &st) < 0)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return false;
	}
	return disk_unlink(dir, name) == 0;
}

/* The name in the directory `dir`, through /proc: a path of any length fits that way. */
static bool bind_in(int fd, int dir, const char *name, mode_t mode)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int len = snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dir, name);
	if (len < 0 || (size_t)len >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	/* The file gets the mode of the socket, less the umask. */
	if (fchmod(fd, mode) < 0)
		return false;
	mode_t mask = umask(0);
	int r = bind(fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	return r == 0;
}

static int listen_unix(const struct net_address *a, mode_t mode, struct error *e)
{
	char path[NET_PATH_MAX + 1];
	if (!slice_copy(a->path, path, sizeof(path))) {
		errno = ENAMETOOLONG;
		return failed(a, -1, e, "");
	}
	char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *parent = !slash ? "." : slash == path ? "/" : path;
	if (slash)
		*slash = '\0';
	int dir = disk_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return failed(a, -1, e, "its directory");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !make_way(dir, name) || !bind_in(fd, dir, name, mode) ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		fd = failed(a, fd, e, "");
	disk_close(dir);
	return fd;
}

int listen_open(const struct net_address *a, mode_t mode, struct error *e)
{
	switch (a->family) {
	case NET_ANY:
	case NET_IPV4:
	case NET_IPV6:
		return listen_ip(a, e);
	case NET_UNIX:
		return listen_unix(a, mode, e);
	default:
		errno = EAFNOSUPPORT;
		return failed(a, -1, e, "");
	}
}

struct acceptor {
	int fd;
	acceptor_call *call;
	void *arg;
	struct loop_watch watch;
	struct loop_timer rest;
	bool paused;
	bool troubled; /* the system was out of something; logged once until it is over */
	bool busy;
	bool gone; /* freed while busy */
};

static void watch_set(struct acceptor *a)
{
	bool accepts = !a->paused && !loop_timer_active(&a->rest);
	loop_watch_set(&a->watch, accepts ? LOOP_READ : 0);
}

static void on_rested(void *arg)
{
	watch_set(arg);
}

/* The connection is at fault, not we: the next one may be fine (accept(2)). */
static bool is_passing(int code)
{
	switch (code) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

static void rest(struct acceptor *a, int code)
{
	if (!a->troubled)
		log_error("connections can't be accepted for now: %s", strerror(code));
	a->troubled = true;
	loop_timer_start(&a->rest, ACCEPT_RETRY_US, on_rested, a);
	watch_set(a);
}

/* False: no more in this turn. */
static bool accept_one(struct acceptor *a)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct net_address peer;
	int fd = accept4(a->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (is_passing(errno))
			return true;
		if (errno != EAGAIN)
			rest(a, errno);
		return false;
	}
	a->troubled = false;
	net_address_from(&from, len, &peer);
	a->call(a->arg, fd, &peer);
	return !a->gone && !a->paused;
}

static void on_ready(void *arg, unsigned what)
{
	struct acceptor *a = arg;
	(void)what;
	a->busy = true;
	for (int i = 0; i < ACCEPT_TURN_MAX; i++)
		if (!accept_one(a))
			break;
	a->busy = false;
	if (a->gone)
		memory_free(a);
}

struct acceptor *acceptor_open(int fd, acceptor_call *call, void *arg)
{
	struct acceptor *a = memory_zero(1, sizeof(*a));
	a->fd = fd;
	a->call = call;
	a->arg = arg;
	loop_watch_start(&a->watch, fd, LOOP_READ, on_ready, a);
	return a;
}

void acceptor_free(struct acceptor **acceptor)
{
	struct acceptor *a = *acceptor;
	*acceptor = NULL;
	if (!a)
		return;
	loop_watch_stop(&a->watch);
	loop_timer_stop(&a->rest);
	close(a->fd);
	a->gone = true;
	if (!a->busy)
		memory_free(a);
}

void acceptor_pause(struct acceptor *a)
{
	a->paused = true;
	watch_set(a);
}

void acceptor_resume(struct acceptor *a)
{
	a->paused = false;
	watch_set(a);
}
