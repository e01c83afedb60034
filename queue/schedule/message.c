/*
 * Messages: waiting until their time, then due in their origin's turn, then active. Turns go round
 * between origins, so that one client's flood costs another one place at most.
 */
#include "queue/schedule/internal.h"

enum { TURNS_GIVEN_AWAY_MAX = 100 };

struct origin *origin_of(struct schedule *s, uint32_t id)
{
	struct origin *o = idmap_get(s->origins, (uint64_t)id + 1);

	if (o == NULL) {
		o = memory_zero(1, sizeof(*o));
		o->id = id;
		TAILQ_INIT(&o->due);
		idmap_put(s->origins, (uint64_t)id + 1, o);
	}
	return o;
}

void origin_release(struct schedule *s, struct origin *o)
{
	if (o->active > 0 || o->jobs > 0 || o->in_turns)
		return;
	idmap_remove(s->origins, (uint64_t)o->id + 1);
	memory_free(o);
}

static void message_due(struct schedule *s, struct schedule_message *m)
{
	struct origin *o = origin_of(s, m->origin);

	m->place = PLACE_DUE;
	TAILQ_INSERT_TAIL(&o->due, m, link);
	s->due_count++;
	if (!o->in_turns) {
		TAILQ_INSERT_TAIL(&s->turns, o, turn);
		o->in_turns = true;
		s->shared = false;
	}
}

static void active_add(struct schedule *s, struct origin *o, struct schedule_message *m)
{
	m->place = PLACE_ACTIVE;
	o->active++;
	o->recipients += m->recipients;
	s->active_count++;
	s->recipient_count += m->recipients;
}

static void active_remove(struct schedule *s, struct schedule_message *m)
{
	struct origin *o = origin_of(s, m->origin);

	o->active--;
	o->recipients -= m->recipients;
	s->active_count--;
	s->recipient_count -= m->recipients;
	s->shared = false;
	origin_release(s, o);
}

static void message_unpark(struct schedule_message *m, uint64_t now)
{
	struct destination *d = m->parked;

	if (d == NULL)
		return;
	TAILQ_REMOVE(&d->parked, m, link);
	d->parked_count--;
	m->parked = NULL;
	destination_settle(d, now);
}

static void due_remove(struct schedule *s, struct schedule_message *m)
{
	struct origin *o = origin_of(s, m->origin);

	TAILQ_REMOVE(&o->due, m, link);
	s->due_count--;
	if (TAILQ_EMPTY(&o->due)) {
		TAILQ_REMOVE(&s->turns, o, turn);
		o->in_turns = false;
		origin_release(s, o);
	}
}

void schedule_wait(struct schedule *s, struct schedule_message *m, uint64_t due, uint64_t now,
		   struct destination *parked)
{
	if (m->place == PLACE_WAITING || m->place == PLACE_DUE)
		panic("schedule_wait: the message waits already");
	if (m->place == PLACE_ACTIVE)
		active_remove(s, m);
	m->urged = false;
	if (due <= now) {
		message_due(s, m);
		if (parked != NULL)
			destination_settle(parked, now); /* nothing may refer to it */
		return;
	}
	m->place = PLACE_WAITING;
	heap_insert(&s->waiting, &m->due, due);
	m->parked = parked;
	if (parked == NULL)
		return;
	TAILQ_INSERT_TAIL(&parked->parked, m, link);
	parked->parked_count++;
}

void schedule_forget(struct schedule *s, struct schedule_message *m, uint64_t now)
{
	switch (m->place) {
	case PLACE_WAITING:
		heap_remove(&s->waiting, &m->due);
		message_unpark(m, now);
		break;
	case PLACE_DUE:
		due_remove(s, m);
		break;
	case PLACE_ACTIVE:
		active_remove(s, m);
		break;
	}
	m->place = PLACE_NONE;
	m->urged = false;
}

bool schedule_hurry(struct schedule *s, struct schedule_message *m, uint64_t now)
{
	if (m->place != PLACE_WAITING)
		return false;
	heap_remove(&s->waiting, &m->due);
	message_unpark(m, now);
	message_due(s, m);
	return true;
}

bool schedule_is_full(const struct schedule *s)
{
	return s->active_count >= s->settings.active_messages ||
	       s->recipient_count >= s->settings.active_recipients ||
	       s->job_count >= s->settings.active_jobs;
}

/* Only when there is room at all. */
static bool has_share(const struct schedule *s, const struct origin *o)
{
	return o->active < s->settings.active_messages - s->active_count &&
	       o->recipients < s->settings.active_recipients - s->recipient_count &&
	       o->jobs < s->settings.active_jobs - s->job_count;
}

/* Whose turn it is. Those whose share is used up give theirs away: they are few, since each has
 * as much as all that is free. */
static struct origin *next_origin(struct schedule *s)
{
	struct origin *o;

	for (int i = 0; i < TURNS_GIVEN_AWAY_MAX && (o = TAILQ_FIRST(&s->turns)) != NULL; i++) {
		TAILQ_REMOVE(&s->turns, o, turn);
		TAILQ_INSERT_TAIL(&s->turns, o, turn);
		if (has_share(s, o))
			return o;
	}
	s->shared = true;
	return NULL;
}

/* One that is parked at a destination which works again; NULL: there is none. */
static struct schedule_message *next_parked(struct schedule *s, uint64_t now)
{
	struct destination *d;

	while ((d = TAILQ_FIRST(&s->returned)) != NULL) {
		if (d->dead_until <= now && !TAILQ_EMPTY(&d->parked))
			return TAILQ_FIRST(&d->parked);
		TAILQ_REMOVE(&s->returned, d, link);
		d->returned = false;
	}
	return NULL;
}

static struct schedule_message *next_waiting(const struct schedule *s, uint64_t now)
{
	struct heap_node *first = heap_first(&s->waiting);

	return first != NULL && first->key <= now
		   ? container_of(first, struct schedule_message, due)
		   : NULL;
}

bool schedule_due(struct schedule *s, uint64_t now)
{
	struct schedule_message *m;

	for (int i = 0; i < SCHEDULE_DUE_STEP; i++) {
		m = next_parked(s, now);
		if (m == NULL)
			m = next_waiting(s, now);
		if (m == NULL)
			return false;
		schedule_hurry(s, m, now);
	}
	return true;
}

struct schedule_message *schedule_activate(struct schedule *s)
{
	struct origin *o;
	struct schedule_message *m;

	if (schedule_is_full(s) || s->shared)
		return NULL;
	o = next_origin(s);
	if (o == NULL)
		return NULL;
	m = TAILQ_FIRST(&o->due);
	active_add(s, o, m);
	due_remove(s, m);
	return m;
}

uint64_t schedule_wake(const struct schedule *s)
{
	struct heap_node *first = heap_first(&s->waiting);

	if (!TAILQ_EMPTY(&s->returned) ||
	    (!TAILQ_EMPTY(&s->turns) && !schedule_is_full(s) && !s->shared))
		return 0;
	return first ? first->key : UINT64_MAX;
}

void schedule_counts(const struct schedule *s, uint64_t *waiting, uint64_t *due, uint64_t *active,
		     uint64_t *jobs)
{
	*waiting = s->waiting.count;
	*due = s->due_count;
	*active = s->active_count;
	*jobs = s->job_count;
}
