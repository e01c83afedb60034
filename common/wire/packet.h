/*
 * packet: what lies in one packet of a channel: whole messages, each
 * {u16 number, u16 zero, u32 length, octets}. Inside wire/ alone.
 */
#ifndef COMMON_WIRE_PACKET_H
#define COMMON_WIRE_PACKET_H

#include "common/base/buffer.h"

enum { PACKET_HELLO = 0 }; /* the message number of the hello; its payload is the hash, u64 */

struct packet_message {
	uint16_t number;
	struct slice payload; /* into the packet */
};

/* Takes the next message off the packet. False when what is left is not a whole message; ask only
 * while something is left. */
bool packet_next(struct slice *packet, struct packet_message *m);

/* Writing: begin, append the payload, end. begin is false when the packet is full; *mark goes to
 * end(), or to undo(), which takes the message off again. */
bool packet_begin(struct buffer *packet, uint16_t number, size_t *mark);
void packet_end(struct buffer *packet, size_t mark);
void packet_undo(struct buffer *packet, size_t mark);

#endif
