/*
 * idle: stands in for any daemon, named by its title, where a test is about the master alone. It
 * serves, says which descriptors it gets, and drains at once. As control it passes on what an
 * administrator asks: a connection sends a verb's digit and gets the answers as text. As router,
 * when it is given a table named "mad", it breaks the rules of its channel to accounts, and when it
 * is named "proud", it says to be ready with settings that it never got.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/dialogue/master.h"
#include "common/os/loop.h"
#include "common/service/service.h"

static struct loop_watch knocks;
static int listener = -1, client = -1;

static void say(const char *text, int len)
{
	if (send(client, text, (size_t)len, MSG_NOSIGNAL) < 0)
		log_error("the client has gone");
}

static void on_process(struct channel *c, const void *record)
{
	const struct master_process *m = record;
	char text[512];
	(void)c;
	say(text, snprintf(text, sizeof(text), "%.*s %u %u %llu %.*s\n", SLICE_FMT(m->name), m->pid,
			   m->uid, (unsigned long long)m->restarts, SLICE_FMT(m->state)));
}

static void on_done(struct channel *c, const void *record)
{
	const struct master_done *m = record;
	char text[5000];
	(void)c;
	say(text, snprintf(text, sizeof(text), "done %u %.*s\n", m->code, SLICE_FMT(m->text)));
	close(client);
	client = -1;
}

static const struct route routes[] = {
    {MASTER_PROCESS, ROUTE_ALWAYS, on_process},
    {MASTER_DONE, ROUTE_ALWAYS, on_done},
    {0},
};

static void on_knock(void *arg, unsigned what)
{
	struct master_ask m = {.request = 1};
	char digit;
	(void)arg;
	(void)what;
	client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (client < 0 || recv(client, &digit, 1, 0) != 1)
		return;
	m.verb = (uint32_t)(digit - '0');
	channel_send(service_master(), MASTER_ASK, &m);
}

static void link_up(struct channel *c, unsigned instance)
{
	(void)c;
	log_info("linked to process %u", instance);
}

static const struct route no_routes[] = {{0}};
#define LINK(role)                                               \
	{                                                        \
		role, &master_dialogue, no_routes, link_up, NULL \
	}
static const struct service_link links[] = {
    LINK("accounts"), LINK("router"), LINK("queue"), LINK("local"),
    LINK("control"),  LINK("smtpd"),  {0},
};

static void take(const struct service_descriptor *d)
{
	struct master_go unasked = {0};
	struct master_ready ahead = {.generation = 99};
	log_info("given %.*s %.*s", SLICE_FMT(d->kind), SLICE_FMT(d->name));
	if (slice_equal(d->detail, SLICE("control")))
		listener = d->fd;
	else
		close(d->fd);
	if (slice_ends_fold(d->name, SLICE("/mad")) && service_peer("accounts"))
		channel_send(service_peer("accounts"), MASTER_GO, &unasked);
	if (slice_ends_fold(d->name, SLICE("/proud")) && service_peer("accounts"))
		channel_send(service_master(), MASTER_READY, &ahead);
}

static void start(void)
{
	if (listener >= 0)
		loop_watch_start(&knocks, listener, LOOP_READ, on_knock, NULL);
}

int main(int argc, char **argv)
{
	static struct service idle = {
	    .links = links, .descriptor = take, .start = start, .master_routes = routes};
	static char name[32];
	struct slice own = slice_from(slice_str(argv[0]), sizeof("stagepost: ") - 1);
	slice_copy(slice_sub(own, 0, slice_find(own, '-')), name, sizeof(name));
	idle.name = name;
	return service_run(&idle, argc, argv);
}
