/*
 * Each pair of linked processes has one channel, made when the second of the two is started. When a
 * process dies its peers see their channel close at about the time that we see the death, so a
 * report waits a moment: if the pair has the same channel then, nobody died, and it is wired again.
 * A report may also come when the dead one was started again and the pair has its new channel, as
 * in every reload: the channel's number tells, for to wire a sound pair again would cut off its
 * jobs. A daemon that meets strangers can't have another one killed by its word.
 */
#include "master/links.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum { REPAIR_WAIT_US = 1000000 };

/* Lives as long as the processes, whichever run as them. */
struct pair {
	LIST_ENTRY(pair) next;
	struct process *a, *b;
	uint64_t number; /* of the newest channel */
	uint64_t lost;	 /* of the last that closed, and is looked at when the timer comes */
	struct loop_timer timer;
};

static LIST_HEAD(, pair) pairs = LIST_HEAD_INITIALIZER(pairs);
static uint64_t channels; /* made so far */

static struct pair *pair_find(const struct process *p, const struct process *q)
{
	struct pair *r;
	LIST_FOREACH (r, &pairs, next) {
		if ((r->a == p && r->b == q) || (r->a == q && r->b == p))
			return r;
	}
	return NULL;
}

static struct pair *pair_new(struct process *p, struct process *q)
{
	struct pair *r = memory_zero(1, sizeof(*r));
	r->a = p;
	r->b = q;
	LIST_INSERT_HEAD(&pairs, r, next);
	return r;
}

static void send_end(struct process *to, const struct process *peer, uint64_t number, int fd)
{
	struct master_link m = {.peer = slice_str(services[peer->role].name),
				.instance = peer->instance,
				.number = number,
				.fd = fd};
	process_send(to, MASTER_LINK, &m);
	close(fd);
}

static void link_pair(struct process *a, struct process *b)
{
	struct pair *r = pair_find(a, b);
	int fds[2];
	if (!channel_pair(fds)) {
		log_error("no channel between %s and %s: %s", a->name, b->name, strerror(errno));
		process_kill(a);
		return;
	}
	if (!r)
		r = pair_new(a, b);
	r->number = ++channels;
	send_end(a, b, r->number, fds[0]);
	send_end(b, a, r->number, fds[1]);
}

void links_make(struct process *p)
{
	struct process *q;
	TAILQ_FOREACH (q, processes(), next) {
		if (q != p && q->channel && services_linked(p->role, q->role))
			link_pair(p, q);
	}
}

static void repair(void *arg)
{
	struct pair *r = arg;
	if (r->number != r->lost || !r->a->channel || !r->b->channel ||
	    r->a->state == PROCESS_DRAINING || r->b->state == PROCESS_DRAINING)
		return;
	log_warning("%s and %s have lost each other, and get a new channel", r->a->name,
		    r->b->name);
	link_pair(r->a, r->b);
}

/* Both ends of a channel report; the wait begins anew only for a newer one, for the former's repair
 * would find that somebody died, and do nothing. */
static void repair_later(struct pair *r)
{
	if (r->lost == r->number)
		return;
	r->lost = r->number;
	loop_timer_start(&r->timer, REPAIR_WAIT_US, repair, r);
}

void links_lost(struct process *p, const struct master_lost *m)
{
	struct process *q = process_find(m->peer, m->instance);
	struct pair *r = q ? pair_find(p, q) : NULL;
	if (!r || m->number != r->number || q->pid == 0 || p->state == PROCESS_DRAINING ||
	    q->state == PROCESS_DRAINING)
		return;
	if (m->broken && !services[p->role].listens) {
		log_error("%s broke the rules of its channel to %s, and is ended", q->name,
			  p->name);
		process_kill(q);
		return;
	}
	repair_later(r);
}
