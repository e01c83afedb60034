/*
 * fork_server_life: the server's half. It sleeps until the daemon asks or a child ends; requests
 * are octets that only the child looks into. A number names a child until it was waited for, so a
 * kill never meets another process.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/fork_server_parts.h"
#include "common/os/log_output.h"
#include "common/os/process.h"
#include "common/os/user.h"

struct child {
	uint32_t number; /* 0: free */
	pid_t pid;
};

/* What children may take to end when the daemon has gone. One that delivers comes to its end, which
 * is better than half a letter; one that its user has stopped goes on first. */
#define GRACE_US UINT64_C(5000000)

static const struct fork_plan *plan;
static int daemon_fd;
static bool orphaned; /* the daemon has gone */
static struct child children[FORK_CHILDREN_MAX];

/* Waits when the daemon is behind. */
static void tell(enum fork_word word, uint32_t number, int value, int fd)
{
	struct fork_head head = {.word = word, .number = number, .value = value};
	struct fork_control control;
	struct iovec iov = {&head, sizeof(head)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	fork_control_put(&control, &m, fd);
	if (!orphaned && TEMP_FAILURE_RETRY(sendmsg(daemon_fd, &m, MSG_NOSIGNAL)) < 0)
		orphaned = true;
}

/* other may be -1. */
static void close_all_but(int fd, int other)
{
	int low = other >= 0 && other < fd ? other : fd, high = other > fd ? other : fd;
	if (low > STDERR_FILENO + 1)
		close_range((unsigned)STDERR_FILENO + 1, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0U, 0);
}

static struct child *find(uint32_t number)
{
	for (unsigned i = 0; i < plan->most; i++)
		if (children[i].number == number)
			return &children[i];
	return NULL;
}

static _Noreturn void be_child(struct slice request, int fd, int given)
{
	signal(SIGCHLD, SIG_DFL);
	close_all_but(fd, given);
	disk_faults_role(plan->role);
	plan->child(request, fd, given);
	_exit(0);
}

/* Both directions hold a message of the largest size, and more. */
static int make_pair(int ends[2])
{
	int size = FORK_SOCKET_BUFFER;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			(void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static void make(uint32_t number, struct slice request, int given)
{
	struct child *c = find(0);
	int ends[2], error = c ? make_pair(ends) : EAGAIN;
	if (error) {
		tell(FORK_MADE, number, error, -1);
		return;
	}
	c->pid = fork();
	if (c->pid == 0)
		be_child(request, ends[1], given);
	error = errno;
	close(ends[1]);
	if (c->pid > 0) {
		c->number = number;
		tell(FORK_MADE, number, 0, ends[0]);
	} else {
		tell(FORK_MADE, number, error, -1);
	}
	close(ends[0]);
}

static void obey(void)
{
	static char packet[sizeof(struct fork_head) + FORK_REQUEST_MAX];
	struct fork_head head;
	struct fork_control control;
	struct iovec iov = {packet, sizeof(packet)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	fork_control_room(&control, &m);
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(daemon_fd, &m, MSG_CMSG_CLOEXEC));
	int given = n < 0 ? -1 : fork_control_take(&m);
	if (n < (ssize_t)sizeof(head)) {
		orphaned = true;
		return;
	}
	memcpy(&head, packet, sizeof(head));
	struct child *c = head.number ? find(head.number) : NULL;
	if (head.word == FORK_MAKE && head.number && !c)
		make(head.number, slice_make(packet + sizeof(head), (size_t)n - sizeof(head)),
		     given);
	else if (head.word == FORK_KILL && c)
		kill(c->pid, SIGKILL);
	if (given >= 0)
		close(given);
	explicit_bzero(packet, (size_t)n); /* it may have been a secret */
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < plan->most; i++) {
			struct child *c = &children[i];
			if (c->number == 0 || c->pid != pid)
				continue;
			tell(FORK_ENDED, c->number, status, -1);
			c->number = 0;
		}
	}
}

/* How many children there are; each gets the signal, unless it is 0. */
static unsigned signal_all(int number)
{
	unsigned count = 0;
	for (unsigned i = 0; i < plan->most; i++) {
		if (children[i].number == 0)
			continue;
		count++;
		if (number)
			kill(children[i].pid, number);
	}
	return count;
}

/* Nobody outlives the daemon for long: children see its end and end by themselves, unless their
 * user has stopped them, or a file server does not answer. */
static _Noreturn void end_with_daemon(const sigset_t *waiting)
{
	uint64_t end = clock_boot_us() + GRACE_US, now;
	close(daemon_fd);
	reap();
	signal_all(SIGCONT);
	while (signal_all(0) > 0 && (now = clock_boot_us()) < end) {
		struct timespec left = {.tv_sec = (time_t)((end - now) / CLOCK_SECOND),
					.tv_nsec = (long)((end - now) % CLOCK_SECOND) * 1000};
		ppoll(NULL, 0, &left, waiting);
		reap();
	}
	signal_all(SIGKILL);
	_exit(0);
}

static void wake_up(int number)
{
	(void)number;
}

/* SIGCHLD comes only while ppoll() waits, so none is missed. */
static void hear_of_children(sigset_t *waiting)
{
	struct sigaction act = {.sa_handler = wake_up};
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	sigdelset(waiting, SIGCHLD);
	sigaction(SIGCHLD, &act, NULL);
}

static bool gain_nothing(struct error *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(e, errno, "prctl: %s", strerror(errno));
	return true;
}

void fork_server_live(const struct fork_plan *p, int fd)
{
	struct error e = {0};
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	sigset_t waiting;
	plan = p;
	daemon_fd = fd;
	if (plan->most > FORK_CHILDREN_MAX)
		panic("a fork server for %u children", plan->most);
	log_output_stderr(plan->role, LOG_LEVEL_ERROR);
	close_all_but(fd, -1);
	process_title("%s", plan->title);
	if ((plan->begin && !plan->begin(&e)) || !user_keep_capabilities(plan->capabilities, &e) ||
	    !gain_nothing(&e))
		fatal("%s: %s", plan->title, e.text);
	hear_of_children(&waiting);
	while (!orphaned) {
		ready.revents = 0;
		int n = ppoll(&ready, 1, NULL, &waiting);
		reap();
		if (n > 0)
			obey();
	}
	end_with_daemon(&waiting);
}
