/*
 * Jobs: queued at their destination in the order of their tags; the next one is that with the
 * lowest tag among all destinations whose window is open.
 */
#include "queue/schedule/internal.h"

void schedule_job_add(struct schedule *s, struct schedule_job *j, struct destination *d,
		      uint32_t origin, bool first, uint64_t now)
{
	struct transport *t = &s->transports[d->transport];
	struct origin *o = origin_of(s, origin);
	uint64_t *tail = first ? &o->tails[d->transport].first : &o->tails[d->transport].rest;

	if (*tail < t->served)
		*tail = t->served;
	*tail += 1;
	j->destination = d;
	j->origin = origin;
	j->out = false;
	o->jobs++;
	s->job_count++;
	heap_insert(&d->jobs, &j->order, *tail);
	destination_settle(d, now);
}

void schedule_job_urge(struct schedule_job *j, uint64_t now)
{
	/* Its failures stay, so that its window is one job until that has succeeded. */
	j->destination->dead_until = 0;
	destination_settle(j->destination, now);
}

/* The job leaves the schedule's hands: its origin may be forgotten. */
static void job_leave(struct schedule *s, struct schedule_job *j)
{
	struct origin *o = origin_of(s, j->origin);

	o->jobs--;
	s->job_count--;
	s->shared = false;
	origin_release(s, o);
	j->destination = NULL;
}

static void revive_dead(struct transport *t, uint64_t now)
{
	struct heap_node *first;

	while ((first = heap_first(&t->dead)) != NULL && first->key <= now)
		destination_settle(container_of(first, struct destination, revive), now);
}

static bool is_crowded(const struct transport *t)
{
	return t->settings.wary && t->out > t->settings.agent_most / 2;
}

/* While the agent is crowded: may it have one job more, whatever its window? */
static bool may_have_more(const struct destination *d, uint64_t now)
{
	return d->out == 0 || (d->worked && now - d->heard < SCHEDULE_QUIET_US);
}

/* The first one whose window is open, and which may use it now; others wait until it is less
 * crowded, or something happens to them. */
static struct destination *next_ready(struct transport *t, uint64_t now)
{
	struct heap_node *first;
	struct destination *d;

	while ((first = heap_first(&t->ready)) != NULL) {
		d = container_of(first, struct destination, ready);
		if (!is_crowded(t) || may_have_more(d, now))
			return d;
		heap_remove(&t->ready, first);
		d->held = true;
		TAILQ_INSERT_TAIL(&t->held, d, held_link);
	}
	return NULL;
}

/* A sixteenth below, so that one job more or less does not make all of them come and go. */
static void release_held(struct transport *t, uint64_t now)
{
	struct destination *d;

	if (t->out >= t->settings.agent_most / 2 - t->settings.agent_most / 16)
		return;
	while ((d = TAILQ_FIRST(&t->held)) != NULL)
		destination_settle(d, now);
}

struct schedule_job *schedule_pick(struct schedule *s, unsigned transport, uint64_t now)
{
	struct transport *t = &s->transports[transport];
	struct destination *d;
	struct schedule_job *j;

	revive_dead(t, now);
	release_held(t, now);
	if (t->out >= t->settings.agent_most || (d = next_ready(t, now)) == NULL)
		return NULL;
	j = container_of(heap_first(&d->jobs), struct schedule_job, order);
	/* A window that opens again serves old tags: new ones must not begin there. */
	if (t->served < j->order.key)
		t->served = j->order.key;
	heap_remove(&d->jobs, &j->order);
	j->out = true;
	if (d->out++ == 0)
		d->heard = now;
	t->out++;
	destination_settle(d, now);
	return j;
}

struct schedule_job *schedule_pick_dead(struct schedule *s, unsigned transport, uint64_t now)
{
	struct transport *t = &s->transports[transport];
	struct heap_node *first;
	struct destination *d;
	struct schedule_job *j;

	revive_dead(t, now);
	if ((first = heap_first(&t->doomed)) == NULL)
		return NULL;
	d = container_of(first, struct destination, ready);
	j = container_of(heap_first(&d->jobs), struct schedule_job, order);
	heap_remove(&d->jobs, &j->order);
	job_leave(s, j);
	destination_settle(d, now);
	return j;
}

void schedule_job_done(struct schedule *s, struct schedule_job *j, enum schedule_outcome outcome,
		       uint64_t now)
{
	struct destination *d = j->destination;

	if (!j->out)
		panic("schedule_job_done: the job is not out");
	j->out = false;
	d->heard = now;
	d->out--;
	s->transports[d->transport].out--;
	job_leave(s, j);
	if (outcome == OUTCOME_SUCCESS || outcome == OUTCOME_MESSAGE)
		destination_works(d);
	else if (outcome == OUTCOME_SITE && d->dead_until <= now)
		destination_fails(d, now);
	destination_settle(d, now);
}

void schedule_job_remove(struct schedule *s, struct schedule_job *j, uint64_t now)
{
	struct destination *d = j->destination;

	if (j->out)
		panic("schedule_job_remove: the job is out");
	heap_remove(&d->jobs, &j->order);
	job_leave(s, j);
	destination_settle(d, now);
}
