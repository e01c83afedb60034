/*
 * The clockwork of a stream: one lazy timer for the deadline and for the minimum rate. To move one
 * forward touches no timer; one that fires early is set again.
 */
#include "common/net/stream_parts.h"

void stream_timer_by(struct stream *s, uint64_t at)
{
	if (at == 0 || (loop_timer_active(&s->timer) && s->timer_at <= at))
		return;
	uint64_t now = loop_now();
	s->timer_at = at;
	loop_timer_start(&s->timer, at > now ? at - now : 0, stream_on_timer, s);
}

void stream_timer_set(struct stream *s)
{
	if (s->paused)
		return;
	stream_timer_by(s, s->deadline);
	stream_timer_by(s, s->window_end);
}

void stream_deadline(struct stream *s, uint64_t us)
{
	if (s->state != STATE_OPEN)
		return;
	/* what is set in a pause runs from its end on */
	uint64_t from = s->paused ? s->paused_at : loop_now();
	s->deadline = us > 0 ? from + us : 0;
	stream_timer_set(s);
}

static void window_begin(struct stream *s)
{
	uint64_t from = s->paused ? s->paused_at : loop_now();
	s->window_end = s->window_us > 0 ? from + s->window_us : 0;
	s->window_octets = 0;
	stream_timer_set(s);
}

void stream_rate(struct stream *s, uint32_t octets_per_second, uint64_t window_us)
{
	if (s->state != STATE_OPEN)
		return;
	s->window_us = octets_per_second > 0 ? window_us : 0;
	s->window_least = octets_per_second * window_us / 1000000;
	window_begin(s);
}

void stream_window_check(struct stream *s)
{
	if (s->window_octets < s->window_least)
		stream_die(s, STREAM_SLOW);
	else
		window_begin(s);
}
