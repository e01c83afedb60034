/*
 * Each pair of linked processes has one channel, made when the second of the two is started. When a
 * process dies its peers see their channel close at about the time that we see the death, so a
 * report waits a moment: if both processes are still the same then, nobody died, and the pair is
 * wired again. A daemon that meets strangers can't have another one killed by its word.
 */
#include "master/links.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum { REPAIR_WAIT_US = 1000000 };

struct repair {
	LIST_ENTRY(repair) next;
	struct process *a, *b;
	pid_t a_pid, b_pid;
	struct loop_timer timer;
};

static LIST_HEAD(, repair) repairs = LIST_HEAD_INITIALIZER(repairs);

static void send_end(struct process *to, const struct process *peer, int fd)
{
	struct master_link m = {
	    .peer = slice_str(services[peer->role].name), .instance = peer->instance, .fd = fd};
	process_send(to, MASTER_LINK, &m);
	close(fd);
}

static void link_pair(struct process *a, struct process *b)
{
	int fds[2];
	if (!channel_pair(fds)) {
		log_error("no channel between %s and %s: %s", a->name, b->name, strerror(errno));
		process_kill(a);
		return;
	}
	send_end(a, b, fds[0]);
	send_end(b, a, fds[1]);
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
	struct repair *r = arg;
	LIST_REMOVE(r, next);
	if (r->a->pid == r->a_pid && r->b->pid == r->b_pid && r->a->channel && r->b->channel &&
	    r->a->state != PROCESS_DRAINING && r->b->state != PROCESS_DRAINING) {
		log_warning("%s and %s have lost each other, and get a new channel", r->a->name,
			    r->b->name);
		link_pair(r->a, r->b);
	}
	memory_free(r);
}

static struct repair *repair_of(const struct process *p, const struct process *q)
{
	struct repair *r;
	LIST_FOREACH (r, &repairs, next) {
		if ((r->a == p && r->b == q) || (r->a == q && r->b == p))
			return r;
	}
	return NULL;
}

static struct repair *repair_new(struct process *p, struct process *q)
{
	struct repair *r = memory_zero(1, sizeof(*r));
	r->a = p;
	r->b = q;
	LIST_INSERT_HEAD(&repairs, r, next);
	return r;
}

/* Both ends of a channel report; the wait begins anew only when one of the two is another process
 * since then, for the former pair's repair would find that somebody died, and do nothing. */
static void repair_later(struct process *p, struct process *q)
{
	struct repair *r = repair_of(p, q);
	if (!r)
		r = repair_new(p, q);
	if (r->a->pid == r->a_pid && r->b->pid == r->b_pid)
		return;
	r->a_pid = r->a->pid;
	r->b_pid = r->b->pid;
	loop_timer_start(&r->timer, REPAIR_WAIT_US, repair, r);
}

void links_lost(struct process *p, const struct master_lost *m)
{
	struct process *q = process_find(m->peer, m->instance);
	if (!q || q->pid == 0 || !services_linked(p->role, q->role) ||
	    p->state == PROCESS_DRAINING || q->state == PROCESS_DRAINING)
		return;
	if (m->broken && !(services[p->role].gifts & GIFT_LISTENERS)) {
		log_error("%s broke the rules of its channel to %s, and is ended", q->name,
			  p->name);
		process_kill(q);
		return;
	}
	repair_later(p, q);
}
