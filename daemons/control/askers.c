/*
 * The connections of commands. Everyone may connect, so those who are no administrators can't take
 * the places of those who are, and who asks nothing is soon sent away.
 */
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/listen.h"
#include "daemons/control/control.h"

static TAILQ_HEAD(, asker) askers = TAILQ_HEAD_INITIALIZER(askers);
static unsigned count, others;
static struct acceptor *acceptor;
static bool started;

unsigned askers_count(void)
{
	return count;
}

static void on_idle(void *arg)
{
	asker_close(arg);
}

static void on_closed(struct channel *c)
{
	asker_close(channel_owner(c));
}

static void on_room(struct channel *c)
{
	relay_room(channel_owner(c));
}

struct asker *asker_open(int fd)
{
	struct asker *a = memory_zero(1, sizeof(*a));
	unsigned uid, gid;
	int pid;
	TAILQ_INIT(&a->questions);
	a->channel = channel_open(fd, &command_dialogue, relay_asker_routes, on_closed, a);
	a->admin = channel_peer(a->channel, &uid, &gid, &pid) && rights_is_admin(fd, uid, gid);
	if (!a->admin && others == ASKERS_OTHERS_MAX) {
		channel_free(&a->channel);
		memory_free(a);
		return NULL;
	}
	channel_on_room(a->channel, on_room);
	loop_timer_start(&a->idle, ASKER_IDLE_US, on_idle, a);
	TAILQ_INSERT_TAIL(&askers, a, link);
	count++;
	others += !a->admin;
	if (count == ASKERS_MAX && acceptor)
		acceptor_pause(acceptor);
	return a;
}

void asker_close(struct asker *a)
{
	relay_forget(a);
	loop_timer_stop(&a->idle);
	channel_free(&a->channel);
	TAILQ_REMOVE(&askers, a, link);
	others -= !a->admin;
	if (count-- == ASKERS_MAX && acceptor)
		acceptor_resume(acceptor);
	memory_free(a);
}

static void accepted(void *arg, int fd, const struct net_address *peer)
{
	(void)arg;
	(void)peer;
	(void)asker_open(fd);
}

void askers_descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("listener")) || !slice_equal(d->detail, SLICE("control")) ||
	    acceptor) {
		log_warning("control was given a descriptor it has no use for: %.*s %.*s",
			    SLICE_FMT(d->kind), SLICE_FMT(d->name));
		close(d->fd);
		return;
	}
	acceptor = acceptor_open(d->fd, accepted, NULL);
	if (!started)
		acceptor_pause(acceptor);
}

void askers_start(void)
{
	started = true;
	if (acceptor)
		acceptor_resume(acceptor);
}

void askers_drain(void)
{
	struct asker *a;
	acceptor_free(&acceptor);
	while ((a = TAILQ_FIRST(&askers))) {
		relay_refuse_all(a, EX_TEMPFAIL, "the server is stopping");
		channel_flush(a->channel, ASKER_LAST_WORDS_US);
		asker_close(a);
	}
	service_drained();
}
