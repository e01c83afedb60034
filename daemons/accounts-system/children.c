/*
 * The daemon's half gives a child a name and believes nothing of what comes back but a record that
 * decodes. A child's place counts as taken until the child has ended, killed or not.
 */
#include "daemons/accounts-system/children.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/dialogue/accounts.h"
#include "common/os/fork_server.h"
#include "common/os/loop.h"
#include "common/wire/codec.h"
#include "daemons/accounts-system/answer.h"
#include "daemons/accounts-system/lookup.h"
#include "daemons/accounts-system/password.h"
#include "daemons/accounts-system/passwords.h"

struct child {
	uint32_t number; /* 0: free */
	enum children_work work;
	int fd;		     /* -1: not made yet, or answered */
	children_done *done; /* NULL: it was called */
	void *arg;
	struct loop_watch watch;
	struct loop_timer timer;
};

/* A child's first octet of request says what it is for. */
static void be_child(struct slice request, int fd, int given)
{
	(void)given;
	if (request.len > 0 && request.ptr[0] == CHILDREN_PASSWORD)
		password_child(slice_from(request, 1), fd);
	else if (request.len > 0)
		lookup_child(slice_from(request, 1), fd);
}

static const struct fork_plan plan = {
    .title = "accounts forks",
    .role = "accounts-child",
    .capabilities = UINT64_C(1) << CAP_AUDIT_WRITE, /* PAM tells the kernel who logs in */
    .most = CHILDREN_MOST,
    .begin = password_begin,
    .child = be_child,
};

static struct fork_server *server;
static struct child children[CHILDREN_MOST];

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

static void finish(struct child *c, struct slice answer, const char *text)
{
	children_done *done = c->done;
	loop_watch_stop(&c->watch);
	loop_timer_stop(&c->timer);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->done = NULL;
	if (done)
		done(c->arg, answer, text);
}

static void hear(void *arg, unsigned what)
{
	static char octets[LOOKUP_ANSWER_MAX + 1];
	struct child *c = arg;
	struct accounts_answer a;
	ssize_t n = recv(c->fd, octets, sizeof(octets), MSG_DONTWAIT);
	struct slice answer = slice_make(octets, n > 0 ? (size_t)n : 0);
	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && n <= LOOKUP_ANSWER_MAX && codec_decode(&accounts_answer_record, answer, &a) &&
	    a.result != 0)
		finish(c, answer, "");
	else
		finish(c, SLICE_EMPTY, "the look-up ended without an answer");
}

static int time_of(enum children_work work)
{
	return work == CHILDREN_PASSWORD ? CHILDREN_PASSWORD_US : CHILDREN_TIME_US;
}

static void late(void *arg)
{
	struct child *c = arg;
	const char *why = c->work == CHILDREN_PASSWORD ? "PAM does not answer"
						       : "the user database does not answer";
	log_warning("%s within %d s", why, time_of(c->work) / 1000000);
	fork_server_kill(server, c->number);
	finish(c, SLICE_EMPTY, why);
}

static void room(void)
{
	answer_room();
	passwords_room();
}

static void made(uint32_t number, int fd, int error)
{
	struct child *c = find(number);
	if (fd < 0) {
		log_error("no process for a look-up: %s", strerror(error));
		finish(c, SLICE_EMPTY, "no process for the look-up");
		c->number = 0;
		room();
		return;
	}
	if (!c->done) { /* it is late already, and was not there to be killed */
		fork_server_kill(server, number);
		close(fd);
		return;
	}
	c->fd = fd;
	loop_watch_start(&c->watch, fd, LOOP_READ, hear, c);
}

static void ended(uint32_t number, int status)
{
	struct child *c = find(number);
	if (WIFSIGNALED(status) && c->done)
		log_error("a user's look-up died of signal %d", WTERMSIG(status));
	if (c->fd >= 0)
		hear(c, LOOP_READ); /* what it said before it ended */
	finish(c, SLICE_EMPTY, "the look-up ended without an answer");
	c->number = 0;
	room();
}

static const struct fork_calls calls = {made, ended};

void children_start(void)
{
	fork_server_listen(server, &calls);
}

static unsigned count(enum children_work work)
{
	unsigned found = 0;
	for (unsigned i = 0; i < CHILDREN_MOST; i++)
		found += children[i].number != 0 && children[i].work == work;
	return found;
}

bool children_ask(enum children_work work, struct slice request, children_done *done, void *arg)
{
	static char text[FORK_REQUEST_MAX];
	struct child *c = find(0);
	if (!c || request.len >= sizeof(text) ||
	    (work == CHILDREN_PASSWORD && count(work) >= CHILDREN_PASSWORDS))
		return false;
	text[0] = (char)work;
	memcpy(text + 1, request.ptr, request.len);
	uint32_t number = fork_server_make(server, slice_make(text, 1 + request.len), -1);
	explicit_bzero(text, 1 + request.len);
	if (!number)
		return false;
	*c = (struct child){.number = number, .work = work, .fd = -1, .done = done, .arg = arg};
	loop_timer_start(&c->timer, (uint64_t)time_of(work), late, c);
	return true;
}
