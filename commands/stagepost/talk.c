/*
 * One question at a time, and the loop runs until its answer has ended. While an answer is printed
 * the loop may stand still (a pager that waits for a key), so silence is measured from the end of
 * that, not from the arrival.
 */
#include "commands/stagepost/talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/net/named.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"

enum { CONNECT_SECONDS = 10 };

struct talk {
	struct channel *channel;
	uint64_t request; /* of the last question */
	uint64_t heard;	  /* when the last answer had been dealt with */
	uint64_t silence_us;
	const struct talk_calls *calls;
	void *arg;
	struct talk_end *end; /* NULL: no question is open */
	struct loop_timer timer;
};

int talk_connect(const char *run, struct error *e)
{
	int fd = named_connect(run, "control", SOCK_SEQPACKET, CONNECT_SECONDS), code = errno;
	if (fd >= 0)
		return fd;
	if (code == ENOENT || code == ECONNREFUSED)
		error_set(e, EX_UNAVAILABLE,
			  "the server is not running (nobody listens on %s/control)", run);
	else if (code == EACCES || code == EPERM)
		error_set(e, EX_NOPERM, "%s/control: %s", run, strerror(code));
	else
		error_set(e, EX_TEMPFAIL, "%s/control: %s; try again in a moment", run,
			  strerror(code));
	return -1;
}

static void talk_ended(struct talk *t, int code)
{
	t->end->code = code;
	t->end = NULL;
	loop_timer_stop(&t->timer);
	loop_stop();
}

static void give_up(struct talk *t, const char *why)
{
	if (!t->end)
		return;
	slice_copy(slice_str(why), t->end->text, sizeof(t->end->text));
	talk_ended(t, EX_TEMPFAIL);
}

static void on_closed(struct channel *c)
{
	give_up(channel_owner(c),
		channel_broken(c)
		    ? "the running server is of another version than this command: restart it"
		    : "the server has closed the connection; try again in a moment");
}

static void on_timer(void *arg)
{
	struct talk *t = arg;
	uint64_t now = clock_boot_us(), end = t->heard + t->silence_us;
	if (now < end)
		loop_timer_start(&t->timer, end - now, on_timer, t);
	else
		give_up(t, "the server does not answer; its log may say why");
}

/* Answers */

/* NULL: not of the question that is open. */
static struct talk *listening(struct channel *c, uint64_t request)
{
	struct talk *t = channel_owner(c);
	return t->end && request == t->request ? t : NULL;
}

#define PART(name, record_)                                          \
	static void on_##name(struct channel *c, const void *record) \
	{                                                            \
		const struct record_ *m = record;                    \
		struct talk *t = listening(c, m->request);           \
		if (t && t->calls->name)                             \
			t->calls->name(t->arg, m);                   \
		if (t)                                               \
			t->heard = clock_boot_us();                  \
	}
PART(process, master_process)
PART(item, queue_item)
PART(recipient, queue_recipient)
PART(line, queue_line)
PART(destination, queue_destination)
PART(counts, queue_counts)
PART(step, router_step)
PART(usage, usage_listed)
PART(certificate, keys_certificate)

static void on_master_done(struct channel *c, const void *record)
{
	const struct master_done *m = record;
	struct talk *t = listening(c, m->request);
	if (!t)
		return;
	slice_copy(m->text, t->end->text, sizeof(t->end->text));
	talk_ended(t, (int)m->code);
}

static void on_queue_done(struct channel *c, const void *record)
{
	const struct queue_done *m = record;
	struct talk *t = listening(c, m->request);
	if (!t)
		return;
	slice_copy(m->text, t->end->text, sizeof(t->end->text));
	t->end->count = m->count;
	talk_ended(t, (int)m->code);
}

/* The router's code is of SMTP; what control itself answers is an exit code. */
static void on_routed(struct channel *c, const void *record)
{
	const struct router_routed *m = record;
	struct talk *t = listening(c, m->request);
	if (!t)
		return;
	slice_copy(m->text, t->end->text, sizeof(t->end->text));
	slice_copy(m->enhanced, t->end->enhanced, sizeof(t->end->enhanced));
	t->end->reply = m->code >= 400 ? m->code : 0;
	if (m->code >= 500)
		talk_ended(t, EXIT_FAILURE);
	else if (m->code >= 400)
		talk_ended(t, EX_TEMPFAIL);
	else
		talk_ended(t, (int)m->code);
}

/* For an administrator only what could not be known is a trouble. */
static void on_login_done(struct channel *c, const void *record)
{
	const struct login_done *m = record;
	struct talk *t = listening(c, m->request);
	if (!t)
		return;
	slice_copy(m->text, t->end->text, sizeof(t->end->text));
	slice_copy(m->user, t->end->user, sizeof(t->end->user));
	talk_ended(t, m->result == LOGIN_HOLDS	   ? EX_OK
		      : m->result == LOGIN_TROUBLE ? EX_TEMPFAIL
						   : EXIT_FAILURE);
}

static void on_usage_done(struct channel *c, const void *record)
{
	const struct usage_done *m = record;
	struct talk *t = listening(c, m->request);
	if (!t)
		return;
	slice_copy(m->text, t->end->text, sizeof(t->end->text));
	talk_ended(t, (int)m->code);
}

static void on_keys_status_end(struct channel *c, const void *record)
{
	const struct keys_status_end *m = record;
	struct talk *t = listening(c, m->request);
	if (t)
		talk_ended(t, EX_OK);
}

static const struct route routes[] = {
    {COMMAND_MASTER_PROCESS, ROUTE_ALWAYS, on_process},
    {COMMAND_MASTER_DONE, ROUTE_ALWAYS, on_master_done},
    {COMMAND_QUEUE_ITEM, ROUTE_ALWAYS, on_item},
    {COMMAND_QUEUE_RECIPIENT, ROUTE_ALWAYS, on_recipient},
    {COMMAND_QUEUE_LINE, ROUTE_ALWAYS, on_line},
    {COMMAND_QUEUE_DESTINATION, ROUTE_ALWAYS, on_destination},
    {COMMAND_QUEUE_COUNTS, ROUTE_ALWAYS, on_counts},
    {COMMAND_QUEUE_DONE, ROUTE_ALWAYS, on_queue_done},
    {COMMAND_ROUTER_STEP, ROUTE_ALWAYS, on_step},
    {COMMAND_LOGIN_DONE, ROUTE_ALWAYS, on_login_done},
    {COMMAND_USAGE_LISTED, ROUTE_ALWAYS, on_usage},
    {COMMAND_USAGE_DONE, ROUTE_ALWAYS, on_usage_done},
    {COMMAND_KEYS_CERTIFICATE, ROUTE_ALWAYS, on_certificate},
    {COMMAND_KEYS_STATUS_END, ROUTE_ALWAYS, on_keys_status_end},
    {COMMAND_ROUTER_ROUTED, ROUTE_ALWAYS, on_routed},
    {0},
};

/* Life */

struct talk *talk_begin(int fd)
{
	struct talk *t = memory_zero(1, sizeof(*t));
	t->channel = channel_open(fd, &command_dialogue, routes, on_closed, t);
	return t;
}

struct talk *talk_open(const char *run, struct error *e)
{
	int fd = talk_connect(run, e);
	return fd < 0 ? NULL : talk_begin(fd);
}

void talk_free(struct talk **talk)
{
	struct talk *t = *talk;
	*talk = NULL;
	if (!t)
		return;
	loop_timer_stop(&t->timer);
	channel_free(&t->channel);
	memory_free(t);
}

int talk_ask(struct talk *t, uint16_t number, void *question, uint64_t silence_us,
	     const struct talk_calls *calls, void *arg, struct talk_end *end)
{
	static const struct talk_calls none;
	*end = (struct talk_end){.code = EX_TEMPFAIL};
	t->request++;
	memcpy(question, &t->request, sizeof(t->request)); /* every question begins with it */
	t->calls = calls ? calls : &none;
	t->arg = arg;
	t->end = end;
	t->silence_us = silence_us;
	t->heard = clock_boot_us();
	if (!channel_send(t->channel, number, question)) {
		give_up(t, "the server has closed the connection; try again in a moment");
		return end->code;
	}
	loop_timer_start(&t->timer, silence_us, on_timer, t);
	loop_run();
	t->end = NULL;
	return end->code;
}
