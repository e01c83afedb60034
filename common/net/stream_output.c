/*
 * The output of a stream: it gathers until the turn's end, and what the kernel does not take waits
 * for room. Here too is the end in good order: the rest is sent, the peer is told, its last octets
 * are dropped.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/stream_parts.h"
#include "common/net/transport.h"

TAILQ_HEAD(dirty_list, stream);
static struct dirty_list dirty_streams;
static struct loop_turn turn;
static pid_t turn_of; /* the process whose turn it is: a child has to begin anew */
static char dropped[STREAM_INPUT_MAX];

/* A close with octets unread is a reset, and takes back the last words that the kernel holds for us
 * (MSG_MORE): a peer that parts and yet sent more is waited for like any other. */
static void linger_begin(struct stream *s)
{
	bool closes = s->peer_done || (s->parting && !stream_lies_unread(s));
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
	stream_watch_set(s);
}

/* Drops what comes; the peer's end, an error or too much of it is the end. */
void stream_linger_read(struct stream *s)
{
	ssize_t n = s->transport->read(s->transport_state, s->fd, dropped, sizeof(dropped));
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
		stream_watch_set(s);
	}
}

/* Writes what it can. May close a finishing stream. */
void stream_write(struct stream *s)
{
	s->held = false;
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
		stream_watch_set(s);
	if (!s->waiting)
		output_gone(s, waited);
}

bool stream_writes(const struct stream *s)
{
	return (s->state == STATE_OPEN || s->state == STATE_FINISHING) && !s->handshaking &&
	       !s->mute;
}

static void on_turn_end(void *arg)
{
	struct stream *s;
	(void)arg;
	while ((s = TAILQ_FIRST(&dirty_streams))) {
		TAILQ_REMOVE(&dirty_streams, s, dirty_link);
		s->dirty = false;
		bool open = s->state == STATE_OPEN;
		if (stream_writes(s) && !s->waiting)
			stream_write(s); /* a finishing one may be gone now */
		if (open && stream_something_due(s))
			stream_timer_by(s, loop_now());
	}
}

void stream_gather(struct stream *s)
{
	if (s->dirty)
		return;
	TAILQ_INSERT_TAIL(&dirty_streams, s, dirty_link);
	s->dirty = true;
}

void stream_ungather(struct stream *s)
{
	if (s->dirty)
		TAILQ_REMOVE(&dirty_streams, s, dirty_link);
	s->dirty = false;
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
		stream_gather(s);
	return true;
}

bool stream_pass(struct stream *s, struct slice octets)
{
	if (s->state != STATE_OPEN || !stream_writes(s) || s->waiting || s->out.len > 0 ||
	    octets.len == 0)
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
		stream_watch_set(s);
	return true;
}

void stream_flush(struct stream *s)
{
	if (s->state != STATE_OPEN || !stream_writes(s) || s->waiting || s->out.len == 0)
		return;
	stream_write(s);
	if (!s->busy && stream_something_due(s))
		stream_timer_by(s, loop_now());
}

size_t stream_unsent(const struct stream *s)
{
	return s->out.len;
}

bool stream_mute(const struct stream *s)
{
	return s->mute;
}

void stream_turn_join(void)
{
	if (turn_of == getpid())
		return;
	turn_of = getpid();
	turn = (struct loop_turn){0};
	TAILQ_INIT(&dirty_streams);
	loop_turn_add_last(&turn, on_turn_end, NULL);
}

/* Finishing */

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
		stream_watch_set(s); /* its death had stopped it */
	else
		stream_gather(s);
}
