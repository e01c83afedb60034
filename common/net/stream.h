/*
 * stream: a connection on the loop: buffered, bounded, with deadlines. It knows three waits: for
 * octets (read), for room (write), and for an answer: while the owner has input paused because a
 * verdict is on its way, nothing is read and no deadline runs.
 *
 * What is sent in one turn of the loop leaves with one call at the turn's end. A session that
 * idles with nothing unread and nothing unsent owns no buffer. All calls of struct stream_kind come
 * from the loop or from stream_resume(), never from another function here or from a turn's end;
 * the owner may free or finish the stream in any of them.
 */
#ifndef COMMON_NET_STREAM_H
#define COMMON_NET_STREAM_H

#include "common/base/slice.h"

struct stream;

enum {
	STREAM_INPUT_MAX = 64 * 1024, /* the most that input_limit may be */
	STREAM_LINGER_US = 2000000,   /* stream_finish: waits so long for the peer's end, ... */
	STREAM_FINISH_US = 30000000,  /* ... and so long for it to take our output */
};

enum stream_end {
	STREAM_CLOSED, /* the peer has said all (it may still read: stream_finish sends the rest) */
	STREAM_BROKEN, /* reset or another error of the connection */
	STREAM_LATE,   /* the deadline has passed */
	STREAM_SLOW,   /* less than the minimum rate */
	STREAM_FULL,   /* more was sent than output_limit: a peer that does not read */
	STREAM_UNSAFE, /* the handshake of its transport (net/tls) failed: see stream_fault() */
};

/* "closed", "broken", "late", "slow", "full", "unsafe" for the log. */
const char *stream_end_name(enum stream_end end);

/* What all streams of one use have in common; static and const. */
struct stream_kind {
	size_t input_limit;  /* octets unread; at most STREAM_INPUT_MAX */
	size_t output_limit; /* octets unsent; input waits while half of it is used */
	/* New octets are there, or may be taken again after a pause. Take what you can with
	 * stream_consume(), as long as stream_ready(); what is left stays and is shown again, with
	 * more behind it. With input_limit octets left no more will come: a line is too long. */
	void (*input)(struct stream *s);
	/* Once. The stream is dead; it must still be freed (or finished), here or later. After
	 * STREAM_LATE and STREAM_SLOW last words may be sent before stream_finish. */
	void (*end)(struct stream *s, enum stream_end reason);
	/* All that was sent has left, after it had to wait for the peer; may be NULL. */
	void (*drained)(struct stream *s);
	/* The handshake of a new transport is done; NULL where none is ever set. */
	void (*secured)(struct stream *s);
};

/* Takes a connected, non-blocking descriptor and starts to listen. There is no deadline yet. */
struct stream *stream_open(int fd, const struct stream_kind *kind, void *owner);
/* Closes at once and drops what is unsent; no call comes after this. */
void stream_free(struct stream **s);
/* Closes in good order, on its own: sends the rest, says that this was all, and drops the peer's
 * octets for a moment, so that no reset overtakes our last words. No call comes after this. */
void stream_finish(struct stream **s);
/* The same for a peer that has said its last word: closes as soon as the rest is sent, unless
 * octets came all the same. */
void stream_part(struct stream **s);
void *stream_owner(const struct stream *s);

/* The unread octets; valid until stream_consume(), stream_resume() or the end of the call. */
struct slice stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);
/* The same, of octets that may be a password: the memory where they were read is wiped. */
void stream_wipe(struct stream *s, size_t n);
/* May more input be taken now? Not while paused, dead, with half of output_limit unsent, or after
 * stream_yield(); input() comes again when that is over. */
bool stream_ready(const struct stream *s);
/* Lets others come first: no more input in this turn of the loop. What is left is shown again in
 * the next one. */
void stream_yield(struct stream *s);
/* Wait for an answer: no input until stream_resume(). Twice is once. */
void stream_pause(struct stream *s);
/* Goes on. Deadline and rate are moved by the time of the pause. Outside of input() and with unread
 * octets this calls input(), which may free the stream: make it the last thing that you do. */
void stream_resume(struct stream *s);
/* Has the peer sent something that nobody has read? Asks the kernel: for early talkers, before the
 * greeting. */
bool stream_spoke(const struct stream *s);

/* Queues octets for the turn's end; they wait for the end of a handshake. Once the peer takes no
 * more, what is sent is dropped, and what it has said is still shown before end(). False when
 * output_limit would be passed (nothing is queued; end() with STREAM_FULL follows) or the stream is
 * dead. */
bool stream_send(struct stream *s, struct slice octets);
/* The same for many octets: when none wait before them, what the kernel takes leaves now and is
 * never copied. */
bool stream_pass(struct stream *s, struct slice octets);
/* Sends what is queued now. */
void stream_flush(struct stream *s);
size_t stream_unsent(const struct stream *s);
/* The peer takes no more: what is unsent stays so, and there is nothing to wait for but its last
 * words and end(), which come when they are read. */
bool stream_mute(const struct stream *s);

/* end() with STREAM_LATE comes so many microseconds from now, unless this is called again; 0: no
 * deadline. Cheap: call it at every command. */
void stream_deadline(struct stream *s, uint64_t us);
/* From now on, in each window of `window_us` at least octets_per_second * window must arrive, else
 * end() with STREAM_SLOW; 0: no minimum. */
void stream_rate(struct stream *s, uint32_t octets_per_second, uint64_t window_us);
/* Octets received so far. */
uint64_t stream_received(const struct stream *s);
/* Why it ended, in a few words, where more is known than the reason; for the log, in end(). */
const char *stream_fault(const struct stream *s);

#endif
