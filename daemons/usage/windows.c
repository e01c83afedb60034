/*
 * windows: a sliding hour and a sliding day, in slots of five minutes. A slot counts until all of
 * it has left the window, so a limit is never passed; it opens again up to five minutes late. There
 * are only slots in which something was sent: a user of twenty messages a day has twenty.
 */
#include "common/base/memory.h"
#include "daemons/usage/usage.h"

static uint32_t slot_of(uint64_t seconds)
{
	return (uint32_t)(seconds / SLOT_SECONDS);
}

/* Does any of it lie in the last `slots` slots' time? */
static bool counts(uint32_t number, uint64_t now, uint32_t slots)
{
	return ((uint64_t)number + 1 + slots) * SLOT_SECONDS > now;
}

static uint32_t add(uint32_t a, uint32_t b)
{
	return a + b < a ? UINT32_MAX : a + b;
}

static void add_to(struct slot *to, const struct slot *from)
{
	to->messages = add(to->messages, from->messages);
	to->recipients = add(to->recipients, from->recipients);
	to->fresh = add(to->fresh, from->fresh);
}

void windows_forget(struct windows *w, uint64_t now)
{
	uint16_t kept = 0;
	for (uint16_t i = 0; i < w->count; i++) {
		struct slot s = w->slots[i];
		if (!counts(s.number, now, DAY_SLOTS))
			continue;
		if (s.number > slot_of(now))
			s.number = slot_of(now);
		if (kept > 0 && w->slots[kept - 1].number == s.number)
			add_to(&w->slots[kept - 1], &s);
		else
			w->slots[kept++] = s;
	}
	w->count = kept;
	if (kept == 0)
		windows_free(w);
}

bool windows_add(struct windows *w, uint64_t now, uint32_t messages, uint32_t recipients,
		 uint32_t fresh)
{
	struct slot s = {slot_of(now), messages, recipients, fresh};
	windows_forget(w, now);
	if (w->count > 0 && w->slots[w->count - 1].number == s.number) {
		add_to(&w->slots[w->count - 1], &s);
		return true;
	}
	if (w->count == SLOTS_MAX)
		return false;
	if (w->count == w->room) {
		w->room = w->room == 0 ? 4 : (uint16_t)(2 * w->room);
		w->slots = memory_resize(w->slots, w->room, sizeof(*w->slots));
	}
	w->slots[w->count++] = s;
	return true;
}

void windows_sum(const struct windows *w, uint64_t now, struct sums *sums)
{
	*sums = (struct sums){0};
	for (uint16_t i = 0; i < w->count; i++) {
		const struct slot *s = &w->slots[i];
		if (!counts(s->number, now, DAY_SLOTS))
			continue;
		sums->messages_day = add(sums->messages_day, s->messages);
		sums->recipients_day = add(sums->recipients_day, s->recipients);
		sums->fresh_day = add(sums->fresh_day, s->fresh);
		if (!counts(s->number, now, HOUR_SLOTS))
			continue;
		sums->messages_hour = add(sums->messages_hour, s->messages);
		sums->recipients_hour = add(sums->recipients_hour, s->recipients);
	}
}

void windows_free(struct windows *w)
{
	memory_free(w->slots);
	*w = (struct windows){0};
}
