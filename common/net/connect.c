/*
 * connect: one descriptor, one watch for its becoming writable, one timer. An error that shows at
 * once is told by the timer too, so that the owner hears of all from the loop.
 */
#include "common/net/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/loop.h"

struct connector {
	int fd;	   /* -1: there is none */
	int error; /* what the timer tells */
	connector_call *call;
	void *arg;
	struct loop_watch watch;
	struct loop_timer timer;
};

void connector_free(struct connector **connector)
{
	struct connector *c = *connector;
	*connector = NULL;
	if (!c)
		return;
	loop_watch_stop(&c->watch);
	loop_timer_stop(&c->timer);
	if (c->fd >= 0)
		close(c->fd);
	memory_free(c);
}

static void tell(struct connector *c, int error)
{
	connector_call *call = c->call;
	void *arg = c->arg;
	int fd = error ? -1 : c->fd;
	if (!error)
		c->fd = -1;
	loop_watch_stop(&c->watch); /* before the descriptor is another's */
	connector_free(&c);
	call(arg, fd, error);
}

static void on_time(void *arg)
{
	struct connector *c = arg;
	tell(c, c->error);
}

static void on_writable(void *arg, unsigned what)
{
	struct connector *c = arg;
	int error = 0;
	socklen_t len = sizeof(error);
	(void)what;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	tell(c, error);
}

/* 0, EINPROGRESS, or what went wrong. */
static int begin(struct connector *c, const struct net_address *a)
{
	struct sockaddr_storage to;
	socklen_t len = net_address_to(a, &to);
	int on = 1;
	if (len == 0)
		return EAFNOSUPPORT;
	c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (c->fd < 0)
		return errno;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower, no worse */
	return connect(c->fd, (const struct sockaddr *)&to, len) == 0 ? 0 : errno;
}

struct connector *connector_open(const struct net_address *a, uint64_t timeout_us,
				 connector_call *call, void *arg)
{
	struct connector *c = memory_zero(1, sizeof(*c));
	c->fd = -1;
	c->call = call;
	c->arg = arg;
	int error = begin(c, a);
	if (error == 0 || error == EINPROGRESS) {
		c->error = ETIMEDOUT;
		loop_watch_start(&c->watch, c->fd, LOOP_WRITE, on_writable, c);
		loop_timer_start(&c->timer, timeout_us, on_time, c);
	} else {
		c->error = error;
		loop_timer_start(&c->timer, 0, on_time, c);
	}
	return c;
}
