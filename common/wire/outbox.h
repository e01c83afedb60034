/*
 * outbox: the packets of a channel that wait to be sent. Messages are encoded straight into the
 * last packet. Inside wire/ alone.
 */
#ifndef COMMON_WIRE_OUTBOX_H
#define COMMON_WIRE_OUTBOX_H

#include <bsd/sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/record.h"

enum { OUTBOX_DESCRIPTORS_MAX = 256 }; /* descriptors waiting in one outbox */

struct outbox_packet {
	TAILQ_ENTRY(outbox_packet) link;
	struct buffer octets;
	int fd;	     /* goes with it; -1: none */
	bool alone;  /* nothing may be added */
	bool secret; /* it is wiped before its memory is used again or given back */
};

TAILQ_HEAD(outbox_packets, outbox_packet);

struct outbox {
	struct outbox_packets packets;
	struct outbox_packet *spare; /* one that was sent, kept with its memory; or NULL */
	size_t octets;		     /* in all packets */
	size_t descriptors;
};

enum outbox_result {
	OUTBOX_EMPTY,	/* all is sent */
	OUTBOX_WAIT,	/* until the socket takes more */
	OUTBOX_RETRY,	/* the system is short of memory or of descriptors in flight */
	OUTBOX_GONE,	/* the peer is not there any more */
	OUTBOX_REFUSED, /* the system will never take this packet; errno says why */
};

void outbox_init(struct outbox *o);
void outbox_clear(struct outbox *o); /* drops and closes all; owns nothing then */
/* The first packet of a channel. */
void outbox_put_hello(struct outbox *o, uint64_t hash);
/* secret: the record has a secret field. False, with nothing queued: no room, or the record is not
 * encodable. */
bool outbox_put(struct outbox *o, uint16_t number, const struct record *r, const void *value,
		bool secret);
enum outbox_result outbox_send(struct outbox *o, int fd);

#endif
