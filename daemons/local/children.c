/*
 * A child that has ended while it had errands has died, whatever its exit code. Its place counts
 * as taken until the fork server says that it is gone, but for one that not even SIGKILL ends soon
 * (its file server is away): that is left to itself. One that is told to end and does not is
 * killed: its user may have stopped it.
 */
#include "daemons/local/children.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/fork_server.h"
#include "common/os/loop.h"
#include "common/wire/codec.h"
#include "daemons/local/person.h"

struct child {
	uint32_t number; /* 0: free */
	int fd;		 /* -1: not there yet, or not any more */
	void *arg;	 /* NULL: nobody hears of it any more */
	unsigned due;	 /* errands that it has */
	struct loop_watch watch;
	struct loop_timer timer;
};

static const struct fork_plan plan = {
    .title = "local forks",
    .role = "local-child",
    .capabilities = (1U << CAP_SETUID) | (1U << CAP_SETGID) | (1U << CAP_KILL),
    .most = 2 * CHILDREN_MOST, /* with those that don't end */
    .begin = person_begin,
    .child = person_child,
};

static struct fork_server *server;
static const struct children_calls *calls;
static uint64_t time_limit;
static struct child children[CHILDREN_MOST];
static void (*when_over)(void); /* set: all are being ended */

void children_warm(void)
{
	struct error e = {0};
	server = fork_server_start(&plan, &e);
	if (!server)
		fatal("%s", e.text);
}

static struct child *find(uint32_t number)
{
	for (unsigned i = 0; i < CHILDREN_MOST; i++)
		if (children[i].number == number)
			return &children[i];
	return NULL;
}

static void stop_hearing(struct child *c)
{
	loop_watch_stop(&c->watch);
	loop_timer_stop(&c->timer);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->arg = NULL;
}

static void check_over(void)
{
	for (unsigned i = 0; i < CHILDREN_MOST; i++)
		if (children[i].number)
			return;
	when_over();
}

static void place_free(struct child *c)
{
	loop_timer_stop(&c->timer);
	c->number = 0;
	if (when_over)
		check_over();
	else
		calls->room();
}

static void given_up(void *arg)
{
	log_error("a delivery does not end even when it is killed: is a file server away?");
	place_free(arg);
}

enum {
	DEATH_US = 10 * 1000 * 1000,	 /* that a killed child may take to be gone */
	LAST_DEATH_US = 2 * 1000 * 1000, /* the same while all are ended */
};

/* False: that was not an answer to what it was given. The owner may end it at any outcome. */
static bool tell_outcomes(struct child *c, struct slice bundle)
{
	struct job_outcome m;
	struct slice part;
	while (c->arg && bundle.len > 0) {
		if (c->due == 0 || !bundle_next(&bundle, &part) ||
		    !codec_decode(&job_outcome_record, part, &m))
			return false;
		c->due -= m.message != 0; /* 0: it says why it can do nothing, and ends */
		calls->outcome(c->arg, &m);
	}
	return true;
}

/* True: outcomes were there, and were told. */
static bool take_outcomes(struct child *c)
{
	static char octets[BUNDLE_OUTCOMES_MAX];
	ssize_t n = recv(c->fd, octets, sizeof(octets), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0 && tell_outcomes(c, slice_make(octets, (size_t)n)))
		return true;
	if (n > 0) {
		log_error("a child of local-system says what it was not asked, and is killed");
		fork_server_kill(server, c->number);
	}
	loop_watch_stop(&c->watch); /* ended() follows */
	return false;
}

static void hear(void *arg, unsigned what)
{
	struct child *c = arg;
	(void)what;
	if (take_outcomes(c) && c->arg && c->due == 0) {
		loop_timer_stop(&c->timer);
		calls->ready(c->arg);
	}
}

static void kill_child(struct child *c)
{
	fork_server_kill(server, c->number);
	loop_timer_start(&c->timer, DEATH_US, given_up, c);
}

/* It may have done it in time, and we were busy ourselves. */
static void late(void *arg)
{
	struct child *c = arg;
	hear(c, LOOP_READ);
	if (!c->arg || c->due == 0)
		return;
	void *owner = c->arg;
	stop_hearing(c);
	kill_child(c);
	calls->gone(owner, CHILD_LATE);
}

static void lingers(void *arg)
{
	kill_child(arg);
}

static void made(uint32_t number, int fd, int error)
{
	struct child *c = find(number);
	if (!c || when_over) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd < 0) {
		void *owner = c->arg;
		log_error("no process for a delivery: %s", strerror(error));
		stop_hearing(c);
		calls->gone(owner, CHILD_NONE);
		place_free(c);
		return;
	}
	c->fd = fd;
	loop_watch_start(&c->watch, fd, LOOP_READ, hear, c);
	calls->ready(c->arg);
}

static void ended(uint32_t number, int status)
{
	struct child *c = find(number);
	if (!c)
		return;
	if (c->fd >= 0)
		take_outcomes(c); /* what it said before it ended */
	void *owner = c->arg;
	if (owner && WIFSIGNALED(status))
		log_error("a child of local-system died of signal %d", WTERMSIG(status));
	else if (owner && c->due > 0)
		log_error("a child of local-system ended with code %d", WEXITSTATUS(status));
	stop_hearing(c);
	if (owner)
		calls->gone(owner, CHILD_DIED);
	place_free(c);
}

static const struct fork_calls fork_calls = {made, ended};

void children_start(const struct children_calls *who, uint64_t time_us)
{
	calls = who;
	time_limit = time_us;
	fork_server_listen(server, &fork_calls);
}

struct child *children_new(const struct person *person, void *arg)
{
	struct child *c = when_over ? NULL : find(0);
	struct buffer b;
	uint32_t number;
	if (!c)
		return NULL;
	buffer_init(&b, FORK_REQUEST_MAX);
	if (!codec_encode(&person_record, person, &b))
		panic("a user that can't be encoded");
	number = fork_server_make(server, buffer_slice(&b), -1);
	buffer_free(&b);
	if (!number)
		return NULL;
	*c = (struct child){.number = number, .fd = -1, .arg = arg};
	return c;
}

/* What the socket does not take, a child that has died did not get. */
void children_give(struct child *c, struct slice bundle, unsigned count, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = {0};
	struct iovec iov = {(void *)(uintptr_t)bundle.ptr, bundle.len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	c->due = count;
	loop_timer_start(&c->timer, time_limit, late, c);
	if (TEMP_FAILURE_RETRY(sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 &&
	    errno != EPIPE && errno != ECONNRESET) {
		log_error("a child of local-system can't be given a message: %s", strerror(errno));
		fork_server_kill(server, c->number);
	}
}

void children_end(struct child **c)
{
	struct child *ending = *c;
	*c = NULL;
	stop_hearing(ending);
	ending->due = 0;
	loop_timer_start(&ending->timer, DEATH_US, lingers, ending);
}

void children_stop(void (*over)(void))
{
	when_over = over;
	for (unsigned i = 0; i < CHILDREN_MOST; i++) {
		struct child *c = &children[i];
		if (c->number == 0)
			continue;
		stop_hearing(c);
		c->due = 0;
		fork_server_kill(server, c->number);
		loop_timer_start(&c->timer, LAST_DEATH_US, given_up, c);
	}
	check_over();
}
