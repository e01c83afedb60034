/*
 * What another process of ours may send when a stranger has taken it over: a packet, and in it a
 * record with a field of every kind. What decodes must encode to the same octets again.
 */
#include <stdlib.h>

#include "common/wire/codec.h"
#include "common/wire/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVERY_FIELDS(F, S)                 \
	F(S, u64, request, 0, "a number")  \
	F(S, bool, flag, 0, "a flag")      \
	F(S, u32, small, 1000, "a number") \
	F(S, u64, large, 0, "a number")    \
	F(S, string, name, 64, "a string") \
	F(S, bytes, data, 512, "octets")   \
	F(S, fd, fd, 0, "a descriptor")    \
	F(S, string, last, 8, "a string")
RECORD_DECLARE(every, EVERY_FIELDS)
RECORD_DEFINE(every, EVERY_FIELDS)

static void check_record(struct slice payload)
{
	struct every e;
	struct buffer again;
	if (!codec_decode(&every_record, payload, &e))
		return;
	buffer_init(&again, payload.len);
	if (e.fd != -1 || e.small > 1000 || e.name.len > 64 || e.data.len > 512 ||
	    !codec_encode(&every_record, &e, &again) || !slice_equal(buffer_slice(&again), payload))
		abort();
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packet = slice_make(data, size);
	struct packet_message m;
	check_record(packet);
	while (packet.len > 0 && packet_next(&packet, &m)) {
		if (m.payload.ptr < (const char *)data ||
		    m.payload.ptr + m.payload.len > (const char *)data + size)
			abort();
		check_record(m.payload);
	}
	return 0;
}
