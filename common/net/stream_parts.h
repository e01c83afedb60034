/*
 * stream_parts: what stream.c, stream_output.c and stream_time.c share: the connection itself.
 */
#ifndef COMMON_NET_STREAM_PARTS_H
#define COMMON_NET_STREAM_PARTS_H

#include "common/base/buffer.h"
#include "common/net/stream.h"
#include "common/os/loop.h"

enum stream_state {
	STATE_OPEN,
	STATE_DEAD,	 /* the owner is told, or will be */
	STATE_FINISHING, /* let go by the owner: the rest of the output is on its way */
	STATE_LINGERING, /* all is sent: waiting for the peer's end */
};

enum { LINGER_OCTETS = 256 * 1024 }; /* read and dropped at most, in the last wait */

struct stream {
	TAILQ_ENTRY(stream) dirty_link;
	int fd;
	uint8_t state;	/* enum stream_state */
	uint8_t reason; /* enum stream_end */
	bool dirty;	/* in the list for the turn's end */
	bool waiting;	/* for room to write */
	bool reads;	/* the watch asks for octets */
	bool held;	/* it must not: what the transport needs first is something else */
	bool paused;
	bool yielded;	  /* until the timer fires, which is set for the next turn */
	bool in_input;	  /* inside the owner's input() */
	bool input_again; /* paused and resumed in there */
	bool in_scratch;  /* the unread octets lie in scratch, not in `in` */
	bool input_due, drained_due;
	bool told;	/* end() was called, or nobody is to be told */
	bool peer_done; /* the peer has said all */
	bool busy;	/* on the stack */
	bool gone;	/* freed while busy */
	bool parting;	/* nothing more is expected of the peer */
	bool handshaking, handshake_due;
	bool mute; /* the peer takes nothing any more */
	const struct stream_kind *kind;
	const struct transport *transport;
	void *transport_state;
	int error; /* errno of what broke it; 0: none */
	void *owner;
	struct slice unread; /* while in_scratch */
	struct buffer in, out;
	struct loop_watch watch;
	struct loop_timer timer;
	uint64_t timer_at; /* loop_now() for which it is set */
	uint64_t deadline; /* 0: none */
	uint64_t paused_at;
	uint64_t received;
	uint64_t window_us, window_end; /* minimum rate; window_end 0: none */
	uint64_t window_octets, window_least;
};

/* stream.c */
void stream_die(struct stream *s, enum stream_end reason);
/* Closes the descriptor; the memory goes when the stream is no longer on the stack. */
void stream_close(struct stream *s);
void stream_on_timer(void *arg);
/* Waits for what can be taken and sent now. */
void stream_watch_set(struct stream *s);
bool stream_lies_unread(const struct stream *s);
/* Is there something to be told or read although the descriptor won't say so? */
bool stream_something_due(const struct stream *s);

/* stream_output.c: in the list for the turn's end, once; out of it. */
void stream_turn_join(void);
void stream_gather(struct stream *s);
void stream_ungather(struct stream *s);
/* May octets leave now? */
bool stream_writes(const struct stream *s);
/* Writes what it can. May close a finishing stream. */
void stream_write(struct stream *s);
/* Drops what comes; the peer's end, an error or too much of it is the end. */
void stream_linger_read(struct stream *s);

/* stream_time.c: the timer fires at `at` or sooner (0: never); it is set for what is next. */
void stream_timer_by(struct stream *s, uint64_t at);
void stream_timer_set(struct stream *s);
/* The window of the minimum rate is over. */
void stream_window_check(struct stream *s);

#endif
