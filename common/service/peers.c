/*
 * The channels to the peers of a daemon. A fresh descriptor for a peer replaces the channel that
 * was there, whether its death was seen yet or not; nothing is read from any peer before the
 * sandbox is entered. When a channel closes the master is told, so that a pair that fell out
 * without a death gets a new one.
 */
#include <unistd.h>
#include <bsd/sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/service/parts.h"

struct peer {
	TAILQ_ENTRY(peer) next;
	const struct service_link *link;
	struct channel *channel; /* NULL: closed */
	uint64_t number;	 /* of the newest channel, opened or waiting */
	unsigned instance;
	int waiting; /* a descriptor not opened yet; -1: none */
};

static const struct service_link *known;
static TAILQ_HEAD(, peer) peers = TAILQ_HEAD_INITIALIZER(peers); /* by role and instance */
static unsigned peer_count;
static bool opened;

static const struct service_link *find_link(struct slice role)
{
	for (const struct service_link *l = known; l && l->peer; l++)
		if (slice_equal(role, slice_str(l->peer)))
			return l;
	return NULL;
}

static struct peer *find_peer(const struct service_link *link, unsigned instance)
{
	struct peer *p, *fresh;
	TAILQ_FOREACH (p, &peers, next) {
		if (p->link == link && p->instance == instance)
			return p;
		if (p->link == link && p->instance > instance)
			break;
	}
	if (peer_count == SERVICE_PEERS_MAX)
		return NULL;
	peer_count++;
	fresh = memory_zero(1, sizeof(*fresh));
	fresh->link = link;
	fresh->instance = instance;
	fresh->waiting = -1;
	if (p)
		TAILQ_INSERT_BEFORE(p, fresh, next);
	else
		TAILQ_INSERT_TAIL(&peers, fresh, next);
	return fresh;
}

static void peer_down(struct peer *p)
{
	struct channel *c = p->channel;
	if (!c)
		return;
	p->channel = NULL;
	if (p->link->down)
		p->link->down(c);
	channel_free(&c);
}

static void peer_lost(const struct peer *p, bool broken)
{
	struct master_lost lost = {.peer = slice_str(p->link->peer),
				   .instance = p->instance,
				   .number = p->number,
				   .broken = broken};
	channel_send(service_master(), MASTER_LOST, &lost);
}

static void peer_closed(struct channel *c)
{
	struct peer *p = channel_owner(c);
	bool broken = channel_broken(c);
	peer_down(p);
	peer_lost(p, broken);
}

static void peer_open(struct peer *p)
{
	int fd = p->waiting;
	p->waiting = -1;
	p->channel = channel_open(fd, p->link->dialogue, p->link->routes, peer_closed, p);
	if (p->link->up)
		p->link->up(p->channel, p->instance);
}

void peers_begin(const struct service_link *links)
{
	known = links;
}

void peers_link(const struct master_link *m)
{
	const struct service_link *link = find_link(m->peer);
	struct peer *p = link ? find_peer(link, m->instance) : NULL;
	if (!p) {
		log_error("a link to %.*s %u that this daemon does not know", SLICE_FMT(m->peer),
			  m->instance);
		if (m->fd >= 0)
			close(m->fd);
		return;
	}
	peer_down(p);
	if (p->waiting >= 0)
		close(p->waiting);
	p->waiting = m->fd;
	p->number = m->number;
	if (m->fd < 0) { /* no descriptor was free for it: the pair is wired again in a moment */
		peer_lost(p, false);
		return;
	}
	if (opened)
		peer_open(p);
}

void peers_open(void)
{
	struct peer *p;
	opened = true;
	TAILQ_FOREACH (p, &peers, next) {
		if (p->waiting >= 0)
			peer_open(p);
	}
}

struct channel *peers_find(const char *role)
{
	struct peer *p;
	TAILQ_FOREACH (p, &peers, next) {
		if (p->channel && channel_alive(p->channel) && strcmp(p->link->peer, role) == 0)
			return p->channel;
	}
	return NULL;
}

void peers_flush(uint64_t microseconds)
{
	struct peer *p;
	TAILQ_FOREACH (p, &peers, next) {
		if (p->channel && channel_alive(p->channel))
			channel_flush(p->channel, microseconds);
	}
}
