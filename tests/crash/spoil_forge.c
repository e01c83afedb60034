/*
 * spoil_forge: whole batches at every 4 KiB of a segment, as a stranger can put them there by the
 * content of a message, as a former lease left them, and as a writer that was taken over makes
 * them. All is right in them, CRCs, lease, place, sequence, ordinals, marks; but only the last
 * knows the nonce.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/format.h"
#include "tests/crash/spoil.h"

enum {
	PLAIN,	 /* the next in the lease */
	BROKEN,	 /* the same, and the true batch before it is broken */
	REPLAY,	 /* has the sequence and ordinals of the one before it */
	STRANGE, /* of the next lease */
	AHEAD,	 /* leaves some out */
	SHAPES,
	RECORDS_MAX = 8,
};

/* So that the message is another one: of the queue id, the part that counts. */
#define OTHER_ID UINT64_C(0x3300)

static bool knows_nonce, keeps_ids;

static bool batch_at(const struct sample_file *f, uint64_t at, struct batch_head *h)
{
	return at + BATCH_ALIGN <= f->size && batch_head_decode(f->octets + at, h) &&
	       h->offset == at;
}

/* The last one that begins before `before`; false: none does. */
static bool last_before(const struct sample_file *f, uint64_t before, struct batch_head *h)
{
	while (before >= BATCH_ALIGN) {
		before -= BATCH_ALIGN;
		if (batch_at(f, before, h))
			return true;
	}
	return false;
}

/* With the true nonce's mark, although no stranger can make that either: only the header's nonce
 * tells then. */
static void reseal(char *records, const struct batch_head *h, const uint8_t nonce[NONCE_SIZE])
{
	char *at = records;
	for (uint32_t i = 0; i < h->records; i++) {
		uint32_t length = get_u32(at + 4);
		if (!keeps_ids)
			put_u64(at + 16, get_u64(at + 16) ^ OTHER_ID);
		record_seal(at, h->ordinal + i, record_mark(h->lease, nonce));
		at += length;
	}
}

/* at: a boundary, and the shape in the octets below. */
static void forge(const struct sample_file *f, const char *path, uint64_t at)
{
	unsigned shape = (unsigned)(at % BATCH_ALIGN);
	uint64_t place = at - shape;
	struct batch_head from, before, h;
	if (!last_before(f, f->size, &from))
		return;
	h = from;
	h.sequence = 0;
	h.ordinal = 0;
	h.offset = place;
	if (last_before(f, place, &before)) {
		bool again = shape == REPLAY;
		h.sequence = before.sequence + (again ? 0 : 1) + (shape == AHEAD ? 3 : 0);
		h.ordinal =
		    before.ordinal + (again ? 0 : before.records) + (shape == AHEAD ? 7 : 0);
	}
	if (shape == STRANGE)
		h.lease++;
	if (!knows_nonce)
		h.nonce[3] ^= 1;
	char *octets = memory_get(BATCH_HEADER_SIZE + h.octets);
	memcpy(octets + BATCH_HEADER_SIZE, f->octets + from.offset + BATCH_HEADER_SIZE, h.octets);
	reseal(octets + BATCH_HEADER_SIZE, &h, from.nonce);
	batch_head_encode(&h, (uint8_t *)octets);
	if (place + BATCH_HEADER_SIZE + h.octets <= f->size)
		spoil_put(path, octets, BATCH_HEADER_SIZE + h.octets, place);
	if (shape == BROKEN && h.sequence > 0)
		spoil_put(path, "?", 1, before.offset);
	memory_free(octets);
}

static void forge_kind(const char *kind, const struct sample *now, unsigned step,
		       const struct permitted *p)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct sample_file *f = &now->files[i];
		struct batch_head h;
		if (strncmp(f->name, "segments/", 9) != 0 || !last_before(f, f->size, &h))
			continue;
		for (uint64_t at = 0; at < f->used + 2 * BATCH_ALIGN; at += BATCH_ALIGN)
			for (unsigned shape = 0; shape < SHAPES; shape++)
				if ((at / BATCH_ALIGN + shape) % (1 + step / 1000) == 0)
					spoil_case(kind, f, forge, at + shape, p);
	}
}

void forge_all(const struct sample *now, unsigned step)
{
	struct permitted stranger = {.silence = true, .gone = TRUTH_MAX};
	struct permitted writer = {.silence = true, .forged = true, .gone = TRUTH_MAX};
	knows_nonce = keeps_ids = false;
	forge_kind("forged", now, step, &stranger);
	keeps_ids = true;
	forge_kind("forged copy", now, step, &stranger);
	knows_nonce = true;
	forge_kind("traitor's copy", now, step, &writer);
	keeps_ids = false;
	forge_kind("traitor", now, step, &writer);
}
