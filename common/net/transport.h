/*
 * transport: how a stream's octets get on and off its descriptor. Inside net/ alone.
 */
#ifndef COMMON_NET_TRANSPORT_H
#define COMMON_NET_TRANSPORT_H

#include <sys/types.h>

#include "common/base/slice.h"
#include "common/net/stream.h"

enum transport_step {
	TRANSPORT_DONE,
	TRANSPORT_READ,	 /* wait until readable */
	TRANSPORT_WRITE, /* wait until writable */
	TRANSPORT_WAIT,	 /* wait for stream_go_on() */
	TRANSPORT_FAILED,
};

/* state is the transport's own of one stream; the plain one has none. */
struct transport {
	/* How many octets; 0 at the peer's end; -1 and errno (EAGAIN: wait until readable; EBUSY:
	 * until writable). */
	ssize_t (*read)(void *state, int fd, void *data, size_t len);
	/* How many octets; -1 and errno (EAGAIN: wait until writable). last: end() comes next, and
	 * they may wait for it. */
	ssize_t (*write)(void *state, int fd, struct slice octets, bool last);
	/* Tells the peer that this was all; closes: the descriptor is closed next, which tells it
	 * too. */
	void (*end)(void *state, int fd, bool closes);
	/* The rest is NULL where there is no state. */
	/* The next step of what comes before the first octet. */
	enum transport_step (*handshake)(void *state, int fd);
	/* Would read() give octets although the descriptor has none? */
	bool (*pending)(void *state);
	/* Why it failed, in a few words; may be empty. */
	const char *(*fault)(void *state);
	void (*free)(void *state);
};

extern const struct transport transport_plain;

/* The descriptor stays the stream's. */
int stream_descriptor(const struct stream *s);
/* Changes the transport of a stream that has nothing unread and nothing unsent; its handshake
 * begins in the next turn. The state is the stream's from then on. */
void stream_set_transport(struct stream *s, const struct transport *transport, void *state);

/* Its state; NULL: it has another transport. */
void *stream_transport_state(const struct stream *s, const struct transport *transport);
/* What TRANSPORT_WAIT waited for is there: the handshake goes on in the next turn. */
void stream_go_on(struct stream *s);

#endif
