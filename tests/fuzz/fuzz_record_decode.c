/*
 * fuzz: record_decode() on octets whose CRC is made right first, so that the parts are reached.
 * What decodes is encoded again where its size allows, and must decode to the same.
 */
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct stored_message *m, struct arena *arena)
{
	struct buffer b;
	struct stored_message back;
	struct error error;
	buffer_init(&b, RECORD_LENGTH_MAX);
	if (record_encode(m, &b)) {
		record_seal(b.data, m->ordinal, 0);
		if (!record_decode(buffer_slice(&b), arena, &back, &error))
			abort();
		if (back.id != m->id || back.recipient_count != m->recipient_count ||
		    !slice_equal(back.trace, m->trace) || !slice_equal(back.body, m->body) ||
		    back.file.number != m->file.number || back.flags != m->flags ||
		    back.parent != m->parent || !slice_equal(back.envid, m->envid) ||
		    !slice_equal(back.user, m->user))
			abort();
		for (uint32_t i = 0; i < m->recipient_count; i++)
			if (back.recipients[i].notify != m->recipients[i].notify ||
			    !slice_equal(back.recipients[i].orcpt, m->recipients[i].orcpt))
				abort();
	}
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stored_message m;
	struct error error;
	struct arena arena;
	struct record_numbers numbers;
	uint8_t digest[DIGEST_SIZE];
	char *octets = memory_get(size + 1);
	memcpy(octets, data, size);
	arena_init(&arena, 1 << 20);
	struct slice record = slice_make(octets, size);
	if (record_decode(record, &arena, &m, &error)) /* the CRC may be right by itself */
		again(&m, &arena);
	if (size >= RECORD_HEADER_SIZE && size <= RECORD_LENGTH_MAX) {
		put_u32(octets, RECORD_MAGIC);
		put_u32(octets + 4, (uint32_t)size);
		record_seal(octets, get_u32(octets + 12), get_u32(octets + RECORD_MARK_AT));
		if (record_decode(record, &arena, &m, &error))
			again(&m, &arena);
		record_read_numbers(record, &numbers);
		record_digest(record, digest);
	}
	arena_free(&arena);
	memory_free(octets);
	return 0;
}
