/*
 * stream: what arrives is read into one buffer of the process and shown there; only what the owner
 * leaves is kept, in a buffer of the stream. What is sent gathers until the turn's end.
 *
 * The owner's calls free and finish streams, so nothing is told from inside a send: what comes of
 * it is noted (dead, input_due, drained_due) and told by stream_settle() when the loop's call is
 * over, or by the timer at once after the turn's end.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/net/stream_parts.h"
#include "common/net/transport.h"

static char scratch[STREAM_INPUT_MAX];

const char *stream_end_name(enum stream_end end)
{
	static const char *const names[] = {
	    [STREAM_CLOSED] = "closed", [STREAM_BROKEN] = "broken", [STREAM_LATE] = "late",
	    [STREAM_SLOW] = "slow",	[STREAM_FULL] = "full",	    [STREAM_UNSAFE] = "unsafe",
	};
	return names[end];
}

/* Life */

void stream_die(struct stream *s, enum stream_end reason)
{
	if (s->state != STATE_OPEN)
		return;
	s->state = STATE_DEAD;
	s->reason = (uint8_t)reason;
	s->deadline = s->window_end = 0;
	loop_watch_stop(&s->watch);
	if (!s->busy)
		stream_timer_by(s, loop_now());
}

void stream_close(struct stream *s)
{
	loop_watch_stop(&s->watch);
	loop_timer_stop(&s->timer);
	stream_ungather(s);
	s->state = STATE_DEAD;
	s->told = true;
	s->in_scratch = false;
	buffer_free(&s->in);
	buffer_free(&s->out);
	if (s->transport_state)
		s->transport->free(s->transport_state);
	s->transport_state = NULL;
	close(s->fd);
	s->gone = true;
	if (!s->busy)
		memory_free(s);
}

void stream_free(struct stream **stream)
{
	struct stream *s = *stream;
	*stream = NULL;
	if (s)
		stream_close(s);
}

void *stream_owner(const struct stream *s)
{
	return s->owner;
}

/* Input */

struct slice stream_input(const struct stream *s)
{
	return s->in_scratch ? s->unread : buffer_slice(&s->in);
}

void stream_consume(struct stream *s, size_t n)
{
	if (!s->in_scratch) {
		buffer_consume(&s->in, n);
		buffer_release(&s->in);
		return;
	}
	if (n > s->unread.len)
		panic("stream: %zu octets consumed of %zu", n, s->unread.len);
	s->unread = slice_from(s->unread, n);
}

void stream_wipe(struct stream *s, size_t n)
{
	struct slice input = stream_input(s), rest = slice_from(input, n);
	if (n > input.len)
		panic("stream: %zu octets wiped of %zu", n, input.len);
	explicit_bzero((void *)(uintptr_t)input.ptr, n);
	stream_consume(s, n);
	/* a line that came in pieces was at another place there */
	if (rest.len == 0)
		explicit_bzero(scratch, sizeof(scratch));
}

bool stream_ready(const struct stream *s)
{
	return s->state == STATE_OPEN && !s->paused && !s->yielded && !s->handshaking &&
	       s->out.len < s->kind->output_limit / 2;
}

/* Neither a pause nor a turn for others stops the watch for octets (two system calls a verdict
 * saved): on_ready() does, when some come meanwhile. */
void stream_watch_set(struct stream *s)
{
	if (s->held)
		s->reads = false;
	else if (s->state == STATE_LINGERING || s->handshaking ||
		 (stream_ready(s) && stream_input(s).len < s->kind->input_limit))
		s->reads = true;
	loop_watch_set(&s->watch, (s->waiting ? LOOP_WRITE : 0) | (s->reads ? LOOP_READ : 0));
}

static void input_call(struct stream *s)
{
	do {
		s->input_again = false;
		s->in_input = true;
		s->kind->input(s);
		s->in_input = false;
	} while (s->input_again && stream_ready(s) && stream_input(s).len > 0);
	if (s->state == STATE_OPEN && !s->paused && stream_input(s).len > 0 && !stream_ready(s))
		s->input_due = true; /* when there is room for output */
}

/* Takes out of the scratch buffer what the owner has left there. */
static void scratch_keep(struct stream *s)
{
	if (!s->in_scratch)
		return;
	s->in_scratch = false;
	if (s->state == STATE_OPEN)
		buffer_append(&s->in, s->unread);
}

static void stream_read(struct stream *s)
{
	size_t kept = s->in.len, room = s->kind->input_limit - kept;
	ssize_t n = s->transport->read(s->transport_state, s->fd, scratch + kept, room);
	if (n < 0 && errno == EBUSY)
		s->held = s->waiting = true;
	if (n < 0 && (errno == EAGAIN || errno == EBUSY))
		return;
	if (n <= 0) {
		s->peer_done = n == 0;
		s->error = n < 0 && s->error == 0 ? errno : s->error;
		stream_die(s, n == 0 && !s->mute ? STREAM_CLOSED : STREAM_BROKEN);
		return;
	}
	if (kept > 0)
		memcpy(scratch, buffer_slice(&s->in).ptr, kept);
	buffer_free(&s->in);
	s->unread = slice_make(scratch, kept + (size_t)n);
	s->in_scratch = true;
	s->received += (uint64_t)n;
	s->window_octets += (uint64_t)n;
	input_call(s);
	scratch_keep(s);
}

uint64_t stream_received(const struct stream *s)
{
	return s->received;
}

bool stream_lies_unread(const struct stream *s)
{
	char c;
	return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool stream_spoke(const struct stream *s)
{
	return stream_input(s).len > 0 || (s->state == STATE_OPEN && stream_lies_unread(s));
}

/* Octets that only the transport knows of: the descriptor will not tell. */
static bool octets_pending(const struct stream *s)
{
	return s->transport->pending && stream_ready(s) && s->in.len < s->kind->input_limit &&
	       s->transport->pending(s->transport_state);
}

bool stream_something_due(const struct stream *s)
{
	return (s->drained_due && s->state == STATE_OPEN) || (s->input_due && stream_ready(s)) ||
	       octets_pending(s);
}

/* Calls of the loop */

/* Tells what is due to the owner, and lets go what he freed. The last thing in every call. */
static void stream_settle(struct stream *s)
{
	if (s->state == STATE_OPEN && s->drained_due) {
		s->drained_due = false;
		if (s->out.len == 0)
			s->kind->drained(s);
	}
	if (s->input_due && stream_ready(s)) {
		s->input_due = false;
		if (stream_input(s).len > 0)
			input_call(s);
	}
	while (octets_pending(s))
		stream_read(s);
	if (stream_something_due(s))
		stream_timer_by(s, loop_now());
	if (s->state == STATE_DEAD && !s->told) {
		s->told = true;
		s->kind->end(s, s->reason);
	}
	s->busy = false;
	if (s->gone) {
		memory_free(s);
		return;
	}
	if (s->state != STATE_DEAD)
		stream_watch_set(s);
}

static void handshake(struct stream *s)
{
	enum transport_step step = s->transport->handshake(s->transport_state, s->fd);
	s->waiting = step == TRANSPORT_WRITE;
	s->held = step == TRANSPORT_WRITE || step == TRANSPORT_WAIT;
	if (step == TRANSPORT_FAILED) {
		stream_die(s, STREAM_UNSAFE);
	} else if (step == TRANSPORT_DONE) {
		s->handshaking = false;
		if (s->out.len > 0)
			stream_gather(s);
		s->kind->secured(s);
	}
}

static void on_ready(void *arg, unsigned what)
{
	struct stream *s = arg;
	s->busy = true;
	if (s->handshaking) {
		handshake(s);
		stream_settle(s);
		return;
	}
	if ((what & LOOP_WRITE) && s->waiting && stream_writes(s))
		stream_write(s);
	if (what & LOOP_READ) {
		if (s->state == STATE_LINGERING)
			stream_linger_read(s);
		else if (stream_ready(s) && s->in.len < s->kind->input_limit)
			stream_read(s);
		else
			s->reads = false;
	}
	stream_settle(s);
}

void stream_on_timer(void *arg)
{
	struct stream *s = arg;
	uint64_t now = loop_now();
	s->busy = true;
	s->yielded = false;
	if (!s->paused && s->deadline != 0 && s->deadline <= now) {
		if (s->state == STATE_OPEN)
			stream_die(s, STREAM_LATE);
		else
			stream_close(s);
	} else if (!s->paused && s->window_end != 0 && s->window_end <= now) {
		stream_window_check(s);
	} else if (s->handshaking && s->state == STATE_OPEN && s->handshake_due) {
		s->handshake_due = false;
		handshake(s);
	}
	if (!s->gone)
		stream_timer_set(s);
	stream_settle(s);
}

void stream_yield(struct stream *s)
{
	if (s->state != STATE_OPEN)
		return;
	s->yielded = true;
	s->input_due = true;
	stream_timer_by(s, loop_now());
}

void stream_pause(struct stream *s)
{
	if (s->paused || s->state != STATE_OPEN)
		return;
	s->paused = true;
	s->paused_at = loop_now();
}

void stream_resume(struct stream *s)
{
	if (!s->paused || s->state != STATE_OPEN)
		return;
	uint64_t lasted = loop_now() - s->paused_at;
	s->paused = false;
	s->deadline += s->deadline ? lasted : 0;
	s->window_end += s->window_end ? lasted : 0;
	stream_timer_set(s);
	if (s->in_input) {
		s->input_again = true;
		return;
	}
	s->input_due = stream_input(s).len > 0;
	if (s->busy)
		return; /* in drained(): stream_settle comes */
	s->busy = true;
	stream_settle(s);
}

/* Opening and finishing */

struct stream *stream_open(int fd, const struct stream_kind *kind, void *owner)
{
	if (kind->input_limit == 0 || kind->input_limit > STREAM_INPUT_MAX)
		panic("stream: an input limit of %zu", kind->input_limit);
	stream_turn_join();
	struct stream *s = memory_zero(1, sizeof(*s));
	s->fd = fd;
	s->kind = kind;
	s->owner = owner;
	s->transport = &transport_plain;
	s->reads = true;
	buffer_init(&s->in, kind->input_limit);
	buffer_init(&s->out, kind->output_limit);
	loop_watch_start(&s->watch, fd, LOOP_READ, on_ready, s);
	return s;
}

int stream_descriptor(const struct stream *s)
{
	return s->fd;
}

void stream_set_transport(struct stream *s, const struct transport *transport, void *state)
{
	if (stream_input(s).len > 0 || s->out.len > 0 || s->transport_state)
		panic("stream: a new transport in the middle of something");
	s->transport = transport;
	s->transport_state = state;
	s->handshaking = s->handshake_due = true;
	stream_timer_by(s, loop_now());
}

void *stream_transport_state(const struct stream *s, const struct transport *transport)
{
	return s->transport == transport ? s->transport_state : NULL;
}

void stream_go_on(struct stream *s)
{
	if (s->state != STATE_OPEN || !s->handshaking)
		return;
	s->handshake_due = true;
	stream_timer_by(s, loop_now());
}

const char *stream_fault(const struct stream *s)
{
	const char *fault = s->transport->fault ? s->transport->fault(s->transport_state) : "";
	return *fault || s->error == 0 ? fault : strerror(s->error);
}
