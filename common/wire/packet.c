/*
 * packet: cuts a packet into messages and puts it together. The octets come from another process of
 * ours that a stranger may have taken over: no length in them is believed.
 */
#include "common/base/bytes.h"
#include "common/wire/packet.h"

enum { HEAD_NUMBER = 0, HEAD_ZERO = 2, HEAD_LENGTH = 4, HEAD_SIZE = 8 };

bool packet_next(struct slice *packet, struct packet_message *m)
{
	if (packet->len < HEAD_SIZE || get_u16(packet->ptr + HEAD_ZERO) != 0)
		return false;
	size_t length = get_u32(packet->ptr + HEAD_LENGTH);
	if (length > packet->len - HEAD_SIZE)
		return false;
	m->number = get_u16(packet->ptr + HEAD_NUMBER);
	m->payload = slice_sub(*packet, HEAD_SIZE, length);
	*packet = slice_from(*packet, HEAD_SIZE + length);
	return true;
}

bool packet_begin(struct buffer *packet, uint16_t number, size_t *mark)
{
	char head[HEAD_SIZE] = {0};
	put_u16(head + HEAD_NUMBER, number);
	*mark = packet->len;
	return buffer_append(packet, slice_make(head, sizeof(head)));
}

void packet_end(struct buffer *packet, size_t mark)
{
	size_t length = packet->len - mark - HEAD_SIZE;
	put_u32(packet->data + packet->start + mark + HEAD_LENGTH, (uint32_t)length);
}

void packet_undo(struct buffer *packet, size_t mark)
{
	buffer_truncate(packet, mark);
}
