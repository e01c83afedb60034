/*
 * fork_server: the daemon's half: asks, and hears what came of it.
 */
#include "common/os/fork_server.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/fork_server_parts.h"
#include "common/os/loop.h"

struct fork_server {
	int fd;
	uint32_t last; /* number */
	const struct fork_calls *calls;
	struct loop_watch watch;
};

struct fork_server *fork_server_start(const struct fork_plan *plan, struct error *e)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		error_set(e, errno, "socketpair: %s", strerror(errno));
		return NULL;
	}
	pid_t pid = fork();
	if (pid == 0)
		fork_server_live(plan, ends[1]);
	int error = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		error_set(e, error, "fork: %s", strerror(error));
		return NULL;
	}
	struct fork_server *f = memory_zero(1, sizeof(*f));
	f->fd = ends[0];
	return f;
}

void fork_control_room(struct fork_control *control, struct msghdr *m)
{
	*control = (struct fork_control){0};
	m->msg_control = control->octets;
	m->msg_controllen = sizeof(control->octets);
}

void fork_control_put(struct fork_control *control, struct msghdr *m, int fd)
{
	if (fd < 0)
		return;
	fork_control_room(control, m);
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

int fork_control_take(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static ssize_t receive(int from, struct fork_head *head, int *fd)
{
	struct fork_control control;
	struct iovec iov = {head, sizeof(*head)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	fork_control_room(&control, &m);
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	*fd = n < 0 ? -1 : fork_control_take(&m);
	return n;
}

static void hear(void *arg, unsigned what)
{
	struct fork_server *f = arg;
	struct fork_head head;
	int fd;
	(void)what;
	ssize_t n = receive(f->fd, &head, &fd);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != sizeof(head))
		fatal("the fork server has gone");
	if (head.word == FORK_MADE)
		/* its socket came, and we may open no more */
		f->calls->made(head.number, fd, fd < 0 && head.value == 0 ? EMFILE : head.value);
	else if (head.word == FORK_ENDED)
		f->calls->ended(head.number, head.value);
}

void fork_server_listen(struct fork_server *f, const struct fork_calls *calls)
{
	f->calls = calls;
	loop_watch_start(&f->watch, f->fd, LOOP_READ, hear, f);
}

static bool say(struct fork_server *f, enum fork_word word, uint32_t number, struct slice request,
		int give)
{
	struct fork_head head = {.word = word, .number = number};
	struct iovec iov[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)request.ptr, request.len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	struct fork_control control;
	fork_control_put(&control, &m, give);
	return TEMP_FAILURE_RETRY(sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;
}

uint32_t fork_server_make(struct fork_server *f, struct slice request, int give)
{
	if (request.len > FORK_REQUEST_MAX)
		panic("a request of %zu octets to the fork server", request.len);
	if (++f->last == 0)
		++f->last;
	return say(f, FORK_MAKE, f->last, request, give) ? f->last : 0;
}

void fork_server_kill(struct fork_server *f, uint32_t number)
{
	say(f, FORK_KILL, number, SLICE_EMPTY, -1);
}

void fork_server_free(struct fork_server **f)
{
	if (!*f)
		return;
	loop_watch_stop(&(*f)->watch);
	close((*f)->fd);
	memory_free(*f);
	*f = NULL;
}
