/*
 * A destination's jobs and sessions are brought together at the end of each turn in which something
 * has changed. A job takes an idle session; a new one is opened when none is there, and when those
 * that are busy have kept a job waiting for a moment: then it is the server that is slow, and more
 * of them help.
 */
#include "common/base/error.h"
#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

enum { LOOKED_AT = 64 }; /* jobs that wait, each time */

TAILQ_HEAD(destination_list, destination);

static struct map *destinations; /* by key */
static struct destination_list touched = TAILQ_HEAD_INITIALIZER(touched);
static struct loop_turn turn;

void destination_touch(struct destination *d)
{
	if (d->touched)
		return;
	d->touched = true;
	TAILQ_INSERT_TAIL(&touched, d, touched_link);
}

static void on_timer(void *arg)
{
	destination_touch(arg);
}

static struct destination *destination_get(struct slice key)
{
	struct destination *d = map_get(destinations, key);
	if (d)
		return d;
	d = memory_get(sizeof(*d) + key.len);
	memset(d, 0, sizeof(*d));
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->sessions);
	d->key_len = key.len;
	if (key.len > 0)
		memcpy(d->key, key.ptr, key.len);
	map_put(destinations, slice_make(d->key, d->key_len), d);
	return d;
}

static void destination_free(struct destination *d)
{
	map_remove(destinations, slice_make(d->key, d->key_len));
	loop_timer_stop(&d->timer);
	memory_free(d);
}

static void enqueue(struct job *j, bool first)
{
	struct destination *d = j->destination;
	j->queued = true;
	j->queued_at = loop_now();
	if (first)
		TAILQ_INSERT_HEAD(&d->waiting, j, link);
	else
		TAILQ_INSERT_TAIL(&d->waiting, j, link);
	d->waiting_count++;
	destination_touch(d);
}

static void dequeue(struct job *j)
{
	struct destination *d = j->destination;
	j->queued = false;
	TAILQ_REMOVE(&d->waiting, j, link);
	d->waiting_count--;
}

void destination_add(struct slice key, struct job *j)
{
	j->destination = destination_get(key);
	enqueue(j, false);
}

void destination_return(struct job *j)
{
	enqueue(j, true);
}

void destination_stray(struct job *j)
{
	char key[1 + JOB_NEXT_HOP_MAX];
	key[0] = '?'; /* no site's name begins so */
	memcpy(key + 1, j->next_hop.ptr, j->next_hop.len);
	j->destination->walking--;
	destination_touch(j->destination);
	j->destination = destination_get(slice_make(key, 1 + j->next_hop.len));
	j->destination->walking++;
	j->strayed = true;
}

struct job *destination_take(struct destination *d, const struct session *s)
{
	struct job *j;
	unsigned looked_at = 0;
	TAILQ_FOREACH (j, &d->waiting, link) {
		if (walk_may_use(j, s)) {
			dequeue(j);
			return j;
		}
		if (++looked_at == LOOKED_AT)
			break;
	}
	return NULL;
}

void destination_failed(struct destination *d, const struct outcome *o)
{
	struct job *j, *next;
	struct reason why;
	if (d->ready_count > 0)
		return;
	outcome_reason(o, &why);
	TAILQ_FOREACH_SAFE (j, &d->waiting, link, next) {
		if (j->walk.tried_count > 0)
			continue;
		dequeue(j);
		job_end(j, &why);
		job_free(j);
	}
}

/* Bringing together */

/* One that idles and may be used, or one that is ready (busy) and might be. */
static struct session *find_session(const struct destination *d, const struct job *j, bool idle)
{
	struct session *s;
	TAILQ_FOREACH (s, &d->sessions, link)
		if (s->phase == PHASE_READY && (!idle || s->idle) && walk_may_use(j, s))
			return s;
	return NULL;
}

static bool has_idle(const struct destination *d)
{
	struct session *s;
	TAILQ_FOREACH (s, &d->sessions, link)
		if (s->idle)
			return true;
	return false;
}

/* The first ones are opened gently: a host that is down, or new to us, does not see twenty. */
static bool may_connect(const struct destination *d)
{
	unsigned most = d->ready_count > CONNECTING_AT_FIRST ? d->ready_count : CONNECTING_AT_FIRST;
	return d->walking < most && d->ready_count + d->walking < DESTINATION_SESSIONS_MAX;
}

/* Room for a job that none of the sessions can serve. */
static void make_room(struct destination *d)
{
	struct session *s;
	if (d->ready_count + d->walking < DESTINATION_SESSIONS_MAX)
		return;
	TAILQ_FOREACH (s, &d->sessions, link) {
		if (s->idle) {
			session_quit(s);
			return;
		}
	}
}

/* Has it waited long enough for the sessions that there are? Else when it will have. */
static bool is_time(struct destination *d, const struct job *j)
{
	uint64_t now = loop_now(), at = j->queued_at + OPEN_AFTER;
	if (!find_session(d, j, false)) {
		make_room(d);
		return true;
	}
	if (now >= at)
		return true;
	if (!loop_timer_active(&d->timer))
		loop_timer_start(&d->timer, at - now, on_timer, d);
	return false;
}

/* One job gets a session, or goes to look for one. False: nothing can be done now. */
static bool pump_one(struct destination *d)
{
	struct job *j;
	unsigned looked_at = 0;
	if (!may_connect(d) && !has_idle(d))
		return false;
	TAILQ_FOREACH (j, &d->waiting, link) {
		struct session *s = find_session(d, j, true);
		if (s) {
			dequeue(j);
			transaction_start(s, j);
			return true;
		}
		if (is_time(d, j) && may_connect(d) && sessions_room()) {
			dequeue(j);
			walk_next(j);
			return true;
		}
		if (++looked_at == LOOKED_AT)
			break;
	}
	return false;
}

static void on_turn_end(void *arg)
{
	struct destination *d;
	(void)arg;
	while ((d = TAILQ_FIRST(&touched))) {
		while (pump_one(d))
			;
		d->touched = false;
		TAILQ_REMOVE(&touched, d, touched_link);
		if (TAILQ_EMPTY(&d->waiting) && TAILQ_EMPTY(&d->sessions) && d->walking == 0)
			destination_free(d);
	}
}

void destinations_touch_waiting(void)
{
	struct slice key;
	void *value;
	for (size_t at = 0; map_next(destinations, &at, &key, &value);) {
		struct destination *d = value;
		if (!TAILQ_EMPTY(&d->waiting))
			destination_touch(d);
	}
}

void destinations_quit(void)
{
	struct slice key;
	void *value;
	for (size_t at = 0; map_next(destinations, &at, &key, &value);) {
		struct destination *d = value;
		struct session *s, *next;
		TAILQ_FOREACH_SAFE (s, &d->sessions, link, next)
			session_quit(s);
	}
}

void destinations_warm(void)
{
	destinations = map_new();
}

void destinations_start(void)
{
	loop_turn_add(&turn, on_turn_end, NULL);
}
