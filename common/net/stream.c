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

TAILQ_HEAD(dirty_list, stream);
static struct dirty_list dirty_streams;
static struct loop_turn turn;
static pid_t turn_of; /* the process whose turn it is: a child has to begin anew */
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

static void stream_close(struct stream *s)
{
	loop_watch_stop(&s->watch);
	loop_timer_stop(&s->timer);
	if (s->dirty)
		TAILQ_REMOVE(&dirty_streams, s, dirty_link);
	s->dirty = false;
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

bool stream_ready(const struct stream *s)
{
	return s->state == STATE_OPEN && !s->paused && !s->handshaking &&
	       s->out.len < s->kind->output_limit / 2;
}

/* A pause does not stop the watch for octets (two system calls a verdict saved): on_ready() does,
 * when some come in a pause. */
static void watch_set(struct stream *s)
{
	if (s->state == STATE_LINGERING || s->handshaking ||
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
	if (n < 0 && errno == EAGAIN)
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

static bool lies_unread(const struct stream *s)
{
	char c;
	return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool stream_spoke(const struct stream *s)
{
	return stream_input(s).len > 0 || (s->state == STATE_OPEN && lies_unread(s));
}

/* Output */

/* A close with octets unread is a reset, and takes back the last words that the kernel holds for us
 * (MSG_MORE): a peer that parts and yet sent more is waited for like any other. */
static void linger_begin(struct stream *s)
{
	bool closes = s->peer_done || (s->parting && !lies_unread(s));
	s->transport->end(s->transport_state, s->fd, closes);
	if (closes) {
		stream_close(s);
		return;
	}
	s->state = STATE_LINGERING;
	s->received = 0;
	s->deadline = loop_now() + STREAM_LINGER_US;
	loop_timer_stop(&s->timer);
	stream_timer_set(s);
	watch_set(s);
}

/* Drops what comes; the peer's end, an error or too much of it is the end. */
static void linger_read(struct stream *s)
{
	ssize_t n = s->transport->read(s->transport_state, s->fd, scratch, sizeof(scratch));
	if (n < 0 && errno == EAGAIN)
		return;
	s->received += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || s->received > LINGER_OCTETS)
		stream_close(s);
}

static void output_gone(struct stream *s, bool waited)
{
	buffer_release(&s->out);
	if (s->state == STATE_FINISHING)
		linger_begin(s);
	else if (waited)
		s->drained_due = s->kind->drained != NULL;
}

/* What the peer said before it stopped to take octets is still there to be read, and is told
 * before the end (a server's last words); a read then meets the same error. */
static void write_failed(struct stream *s)
{
	s->error = errno;
	if (s->state == STATE_FINISHING) {
		stream_close(s);
	} else if (!stream_ready(s) || s->mute) {
		stream_die(s, STREAM_BROKEN);
	} else {
		s->mute = true;
		s->waiting = false;
		watch_set(s);
	}
}

/* Writes what it can. May close a finishing stream. */
static void stream_write(struct stream *s)
{
	if (s->out.len > 0) {
		ssize_t n = s->transport->write(s->transport_state, s->fd, buffer_slice(&s->out),
						s->state == STATE_FINISHING);
		if (n < 0 && errno != EAGAIN) {
			write_failed(s);
			return;
		}
		buffer_consume(&s->out, n > 0 ? (size_t)n : 0);
	}
	bool waited = s->waiting;
	s->waiting = s->out.len > 0;
	if (s->waiting || s->state == STATE_OPEN)
		watch_set(s);
	if (!s->waiting)
		output_gone(s, waited);
}

static bool writes(const struct stream *s)
{
	return (s->state == STATE_OPEN || s->state == STATE_FINISHING) && !s->handshaking &&
	       !s->mute;
}

/* Octets that only the transport knows of: the descriptor will not tell. */
static bool octets_pending(const struct stream *s)
{
	return s->transport->pending && stream_ready(s) && s->in.len < s->kind->input_limit &&
	       s->transport->pending(s->transport_state);
}

static bool something_due(const struct stream *s)
{
	return (s->drained_due && s->state == STATE_OPEN) || (s->input_due && stream_ready(s)) ||
	       octets_pending(s);
}

static void on_turn_end(void *arg)
{
	struct stream *s;
	(void)arg;
	while ((s = TAILQ_FIRST(&dirty_streams))) {
		TAILQ_REMOVE(&dirty_streams, s, dirty_link);
		s->dirty = false;
		bool open = s->state == STATE_OPEN;
		if (writes(s) && !s->waiting)
			stream_write(s); /* a finishing one may be gone now */
		if (open && something_due(s))
			stream_timer_by(s, loop_now());
	}
}

static void dirty_add(struct stream *s)
{
	if (s->dirty)
		return;
	TAILQ_INSERT_TAIL(&dirty_streams, s, dirty_link);
	s->dirty = true;
}

/* Ended by the clock, not by the peer: last words can still reach it. */
static bool ended_by_clock(const struct stream *s)
{
	return s->state == STATE_DEAD && (s->reason == STREAM_LATE || s->reason == STREAM_SLOW);
}

bool stream_send(struct stream *s, struct slice octets)
{
	if (s->state != STATE_OPEN && !ended_by_clock(s))
		return false;
	if (s->mute)
		return true;
	if (!buffer_append(&s->out, octets)) {
		stream_die(s, STREAM_FULL);
		return false;
	}
	if (octets.len > 0 && !s->waiting && s->state == STATE_OPEN)
		dirty_add(s);
	return true;
}

bool stream_pass(struct stream *s, struct slice octets)
{
	if (s->state != STATE_OPEN || !writes(s) || s->waiting || s->out.len > 0 || octets.len == 0)
		return stream_send(s, octets);
	ssize_t n = s->transport->write(s->transport_state, s->fd, octets, false);
	int error = n < 0 ? errno : 0;
	/* what has not left is unsent, also when it never will be */
	if (!buffer_append(&s->out, slice_from(octets, n > 0 ? (size_t)n : 0))) {
		stream_die(s, STREAM_FULL);
		return false;
	}
	if (error != 0 && error != EAGAIN) {
		errno = error;
		write_failed(s);
		return s->state == STATE_OPEN;
	}
	s->waiting = s->out.len > 0;
	if (s->waiting)
		watch_set(s);
	return true;
}

void stream_flush(struct stream *s)
{
	if (s->state != STATE_OPEN || !writes(s) || s->waiting || s->out.len == 0)
		return;
	stream_write(s);
	if (!s->busy && something_due(s))
		stream_timer_by(s, loop_now());
}

size_t stream_unsent(const struct stream *s)
{
	return s->out.len;
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
	if (something_due(s))
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
		watch_set(s);
}

static void handshake(struct stream *s)
{
	enum transport_step step = s->transport->handshake(s->transport_state, s->fd);
	s->waiting = step == TRANSPORT_WRITE;
	if (step == TRANSPORT_FAILED) {
		stream_die(s, STREAM_UNSAFE);
	} else if (step == TRANSPORT_DONE) {
		s->handshaking = false;
		if (s->out.len > 0)
			dirty_add(s);
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
	if ((what & LOOP_WRITE) && s->waiting && writes(s))
		stream_write(s);
	if (what & LOOP_READ) {
		if (s->state == STATE_LINGERING)
			linger_read(s);
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

static void turn_join(void)
{
	if (turn_of == getpid())
		return;
	turn_of = getpid();
	turn = (struct loop_turn){0};
	TAILQ_INIT(&dirty_streams);
	loop_turn_add_last(&turn, on_turn_end, NULL);
}

struct stream *stream_open(int fd, const struct stream_kind *kind, void *owner)
{
	if (kind->input_limit == 0 || kind->input_limit > STREAM_INPUT_MAX)
		panic("stream: an input limit of %zu", kind->input_limit);
	turn_join();
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

const char *stream_fault(const struct stream *s)
{
	const char *fault = s->transport->fault ? s->transport->fault(s->transport_state) : "";
	return *fault || s->error == 0 ? fault : strerror(s->error);
}

void stream_part(struct stream **stream)
{
	if (*stream)
		(*stream)->parting = true;
	stream_finish(stream);
}

void stream_finish(struct stream **stream)
{
	struct stream *s = *stream;
	*stream = NULL;
	if (!s)
		return;
	if (s->handshaking || s->mute ||
	    (s->state == STATE_DEAD && !s->peer_done && !ended_by_clock(s))) {
		stream_close(s);
		return;
	}
	s->state = STATE_FINISHING;
	s->told = true;
	s->paused = s->in_scratch = false;
	s->input_due = s->drained_due = false;
	s->window_end = 0;
	s->deadline = loop_now() + STREAM_FINISH_US;
	buffer_free(&s->in);
	stream_timer_set(s);
	if (s->waiting)
		watch_set(s); /* its death had stopped it */
	else
		dirty_add(s);
}
