/*
 * The schedule as a whole: settings, transports, and the rules of time: when to try again, when to
 * give up.
 */
#include "queue/schedule/internal.h"

static void settings_take(struct schedule *s, const struct schedule_settings *settings)
{
	s->settings = *settings;
	s->shared = false;
	if (s->settings.active_messages == 0)
		s->settings.active_messages = SCHEDULE_ACTIVE_MESSAGES;
	if (s->settings.active_recipients == 0)
		s->settings.active_recipients = SCHEDULE_ACTIVE_RECIPIENTS;
	if (s->settings.active_jobs == 0)
		s->settings.active_jobs = SCHEDULE_ACTIVE_JOBS;
}

struct schedule *schedule_new(const struct schedule_settings *settings, uint64_t seed)
{
	struct schedule *s = memory_zero(1, sizeof(*s));

	s->random = seed | 1;
	heap_init(&s->waiting);
	TAILQ_INIT(&s->turns);
	TAILQ_INIT(&s->returned);
	TAILQ_INIT(&s->destinations);
	LIST_INIT(&s->walks);
	s->origins = idmap_new();
	for (unsigned i = 0; i < SCHEDULE_TRANSPORTS; i++) {
		struct transport *t = &s->transports[i];

		heap_init(&t->ready);
		heap_init(&t->doomed);
		heap_init(&t->dead);
		t->destinations = map_new();
		TAILQ_INIT(&t->held);
		t->settings.window_first = t->settings.window_most = 1;
	}
	settings_take(s, settings);
	return s;
}

void schedule_free(struct schedule **s)
{
	struct schedule *old = *s;
	struct slice key;
	void *value;
	uint64_t id;
	size_t at = 0;

	if (old == NULL)
		return;
	while (idmap_next(old->origins, &at, &id, &value))
		memory_free(value);
	idmap_free(&old->origins);
	for (unsigned i = 0; i < SCHEDULE_TRANSPORTS; i++) {
		struct transport *t = &old->transports[i];

		/* their nodes lie in the destinations */
		heap_free(&t->ready);
		heap_free(&t->doomed);
		heap_free(&t->dead);
		for (at = 0; map_next(t->destinations, &at, &key, &value);) {
			map_remove(t->destinations, key);
			destination_free(value);
		}
		map_free(&t->destinations);
	}
	heap_free(&old->waiting);
	memory_free(old);
	*s = NULL;
}

void schedule_set(struct schedule *s, const struct schedule_settings *settings)
{
	settings_take(s, settings);
}

void schedule_transport(struct schedule *s, unsigned transport, const struct schedule_transport *t)
{
	s->transports[transport].settings = *t;
}

void schedule_agent(struct schedule *s, unsigned transport, uint32_t most)
{
	s->transports[transport].settings.agent_most = most;
}

/* xorshift64: the jitter must spread, nothing more. */
uint64_t schedule_random(struct schedule *s, uint64_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return below == 0 ? 0 : s->random % below;
}

/* The wait is the message's age, between the first wait and the longest: it doubles each time. */
uint64_t schedule_retry_at(struct schedule *s, uint64_t arrived, uint64_t now)
{
	uint64_t wait = now > arrived ? now - arrived : 0;

	if (wait < s->settings.retry_first)
		wait = s->settings.retry_first;
	if (wait > s->settings.retry_longest)
		wait = s->settings.retry_longest;
	return now + wait + schedule_random(s, wait * SCHEDULE_JITTER_PERCENT / 100 + 1);
}

bool schedule_give_up(const struct schedule *s, uint64_t arrived, bool bounce, uint64_t now)
{
	uint64_t limit = bounce ? s->settings.give_up_bounces : s->settings.give_up;

	return now >= arrived && now - arrived >= limit;
}
