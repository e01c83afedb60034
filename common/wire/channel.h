/*
 * channel: messages between two of our processes over a SOCK_SEQPACKET socket.
 *
 * A packet holds whole messages, each {u16 number, u16 zero, u32 length, octets}; a message with a
 * descriptor travels alone in its packet. The first packet each way is a hello with the dialogue's
 * hash. What is sent in one turn of the loop leaves in as few packets as can be at the turn's end.
 * A message that the routes do not list, that is not permitted now, that does not decode or comes
 * with descriptors it should not have closes the channel (descriptors are closed, never leaked):
 * the peer is broken and its supervisor starts it again.
 */
#ifndef COMMON_WIRE_CHANNEL_H
#define COMMON_WIRE_CHANNEL_H

#include "common/wire/dialogue.h"

enum {
	CHANNEL_PACKET_MAX = 128 * 1024,      /* octets in a packet */
	CHANNEL_QUEUE_MAX = 16 * 1024 * 1024, /* octets waiting to be sent */
	CHANNEL_RECORD_MAX = 4096,	      /* octets of the struct of a record */
};

struct channel;

/* One line of a dispatch table. record points to the decoded struct, valid during the call, with
 * all its slices; an fd in it belongs to the handler. */
struct route {
	uint16_t number;
	unsigned when; /* mask of the states in which it is permitted; ROUTE_ALWAYS */
	void (*handle)(struct channel *c, const void *record);
};
enum { ROUTE_ALWAYS = ~0 };

/* Makes the two ends of a channel, close-on-exec, with large socket buffers; false and errno. Who
 * hands out channels uses this: a sandboxed end can't raise its buffers any more. */
bool channel_pair(int fds[2]);
/* Takes the descriptor (non-blocking is set here) and starts to listen. closed() is called once,
 * from the loop, when the peer has gone or broke the rules; the channel is then dead but still must
 * be freed by its owner (in closed() or later). routes ends with number 0. */
struct channel *channel_open(int fd, const struct dialogue *d, const struct route *routes,
			     void (*closed)(struct channel *c), void *owner);
void channel_free(struct channel **c);
void *channel_owner(const struct channel *c);
void channel_set_state(struct channel *c, unsigned state); /* one bit; 1 at first */
/* Queues a message; an fd field >= 0 is duplicated into the packet and stays the caller's. False
 * when the channel is dead or its queue is full: nothing was queued. */
bool channel_send(struct channel *c, uint16_t number, const void *record);
/* Octets waiting; a sender of bulk stops above a quarter of CHANNEL_QUEUE_MAX. */
size_t channel_queued(const struct channel *c);
/* Called when the queue has run empty after it held more than a quarter (one call each time). */
void channel_on_room(struct channel *c, void (*room)(struct channel *c));
/* About so many octets are taken in a turn, one packet at least; the rest in the next one: for who
 * has much to do for each. 0, as at first: many packets. */
void channel_portion(struct channel *c, size_t octets);
/* Sends what is queued now, waiting at most so long; for the last words of a process. */
bool channel_flush(struct channel *c, uint64_t microseconds);
bool channel_alive(const struct channel *c);
/* The peer said what can't be true: the channel dies as if it had broken the rules itself, logged
 * with why. closed() comes from the loop. */
void channel_break(struct channel *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A dead channel: true when the peer broke the rules, false when it has just gone. */
bool channel_broken(const struct channel *c);
/* The peer's uid, gid, pid by SO_PEERCRED, for channels over named sockets. */
bool channel_peer(const struct channel *c, unsigned *uid, unsigned *gid, int *pid);

#endif
