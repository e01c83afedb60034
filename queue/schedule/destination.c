/*
 * Destinations: a window that opens on success and closes on failure, death after failures in a
 * row, and the return, which makes what was parked there due at once.
 */
#include "queue/schedule/internal.h"

struct destination *schedule_destination(struct schedule *s, unsigned transport, struct slice key)
{
	struct transport *t = &s->transports[transport];
	struct destination *d = map_get(t->destinations, key);

	if (d != NULL)
		return d;
	d = memory_zero(1, sizeof(*d) + key.len);
	d->schedule = s;
	d->transport = transport;
	d->window = t->settings.window_first;
	TAILQ_INIT(&d->parked);
	heap_init(&d->jobs);
	memcpy(d->key, key.ptr, key.len);
	d->key_length = key.len;
	map_put(t->destinations, destination_key(d), d);
	TAILQ_INSERT_TAIL(&s->destinations, d, all);
	return d;
}

void destination_free(struct destination *d)
{
	struct schedule_walk *w;

	LIST_FOREACH (w, &d->schedule->walks, link)
		if (w->next == d)
			w->next = TAILQ_NEXT(d, all);
	TAILQ_REMOVE(&d->schedule->destinations, d, all);
	heap_free(&d->jobs);
	memory_free(d->reply);
	memory_free(d);
}

struct slice destination_key(const struct destination *d)
{
	return slice_make(d->key, d->key_length);
}

uint64_t destination_dead_until(const struct destination *d, uint64_t now)
{
	return d->dead_until > now ? d->dead_until : 0;
}

/* One that died and was not tried since is tried by one job alone: it may be dead still. */
static uint32_t destination_window(const struct destination *d)
{
	return d->failures >= SCHEDULE_FAILURES_TO_DIE ? 1 : d->window;
}

void destination_settle(struct destination *d, uint64_t now)
{
	struct transport *t = &d->schedule->transports[d->transport];
	bool waits = d->jobs.count > 0;
	bool dead = d->dead_until > now, remembered = d->remember_until > now;

	if (!remembered && d->out == 0 && d->failures < SCHEDULE_FAILURES_TO_DIE)
		d->failures = 0;
	if (d->held)
		TAILQ_REMOVE(&t->held, d, held_link);
	d->held = false;
	heap_remove(d->doomed ? &t->doomed : &t->ready, &d->ready);
	d->doomed = dead;
	if (waits && dead)
		heap_insert(&t->doomed, &d->ready, heap_first(&d->jobs)->key);
	else if (waits && d->out < destination_window(d))
		heap_insert(&t->ready, &d->ready, heap_first(&d->jobs)->key);
	if (dead || remembered)
		heap_move(&t->dead, &d->revive, dead ? d->dead_until : d->remember_until);
	else
		heap_remove(&t->dead, &d->revive);
	if (waits || dead || remembered || d->out > 0 || !TAILQ_EMPTY(&d->parked))
		return;
	if (d->returned)
		TAILQ_REMOVE(&d->schedule->returned, d, link);
	map_remove(t->destinations, destination_key(d));
	destination_free(d);
}

void destination_works(struct destination *d)
{
	const struct schedule_transport *t = &d->schedule->transports[d->transport].settings;

	d->worked = true;
	d->failures = 0;
	d->dead_until = d->dead_for = d->remember_until = 0;
	memory_free(d->reply);
	d->reply = NULL;
	if (++d->successes >= d->window && d->window < t->window_most) {
		d->window++;
		d->successes = 0;
	}
	if (!d->returned && !TAILQ_EMPTY(&d->parked)) {
		d->returned = true;
		TAILQ_INSERT_TAIL(&d->schedule->returned, d, link);
	}
}

void destination_fails(struct destination *d, uint64_t now)
{
	const struct schedule_transport *t = &d->schedule->transports[d->transport].settings;

	d->worked = false;
	d->successes = 0;
	d->window = d->window > 1 ? d->window / 2 : 1;
	/* Mail for one mailbox may come one by one: its failures are in a row all the same. */
	d->remember_until = now + t->dead_longest;
	if (++d->failures < SCHEDULE_FAILURES_TO_DIE)
		return;
	d->dead_for = d->dead_for == 0 ? t->dead_first : d->dead_for * 2;
	if (d->dead_for > t->dead_longest)
		d->dead_for = t->dead_longest;
	d->dead_until = now + d->dead_for;
	d->remember_until = d->dead_until + t->dead_longest;
}

void destination_said(struct destination *d, struct slice reply)
{
	memory_free(d->reply);
	d->reply = memory_string(slice_sub(reply, 0, SCHEDULE_REPLY_MAX));
}

struct slice destination_reply(const struct destination *d)
{
	return d->reply != NULL ? slice_str(d->reply) : SLICE_EMPTY;
}

bool schedule_walk_next(struct schedule *s, struct schedule_walk *w, uint64_t now,
			struct destination_view *view)
{
	struct destination *d;

	if (!w->begun) {
		w->begun = true;
		w->next = TAILQ_FIRST(&s->destinations);
		LIST_INSERT_HEAD(&s->walks, w, link);
	}
	d = w->next;
	if (d == NULL) {
		schedule_walk_end(w);
		return false;
	}
	w->next = TAILQ_NEXT(d, all);
	*view = (struct destination_view){
	    .transport = d->transport,
	    .key = destination_key(d),
	    .reply = destination_reply(d),
	    .queued = d->jobs.count,
	    .out = d->out,
	    .parked = d->parked_count,
	    .window = destination_window(d),
	    .failures = d->failures,
	    .dead_until = destination_dead_until(d, now),
	};
	return true;
}

void schedule_walk_end(struct schedule_walk *w)
{
	if (w->begun)
		LIST_REMOVE(w, link);
	w->begun = false;
}
