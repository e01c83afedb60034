/*
 * twin: cuts what comes into pairs of blocks, and ends the two hashes. With the processor's
 * instructions whole pairs are compressed where they lie. Without them the blocks of each hash
 * are gathered, since OpenSSL takes longer for many small pieces.
 */
#include "queue/store/twin.h"

#include "common/base/bytes.h"

enum {
	GATHERED = 32,			/* pairs */
	PAD_LENGTH_AT = TWIN_BLOCK - 8, /* FIPS 180-4 5.1.1: the length in bits ends it */
	TAIL_MAX = 2 * TWIN_BLOCK
};

/* FIPS 180-4 5.3.3 */
static const uint32_t first_state[TWIN_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
						 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void twin_init_plain(struct twin *t)
{
	*t = (struct twin){.by_instruction = false};
	for (int i = 0; i < 2; i++) {
		memcpy(t->state[i], first_state, sizeof(first_state));
		digest_init(&t->lanes[i]);
	}
}

void twin_init(struct twin *t)
{
	twin_init_plain(t);
	t->by_instruction = twin_has_instruction();
}

void twin_free(struct twin *t)
{
	digest_free(&t->lanes[0]);
	digest_free(&t->lanes[1]);
}

static void pairs_by_lanes(struct twin *t, const uint8_t *octets, size_t pairs)
{
	uint8_t lane[2][GATHERED * TWIN_BLOCK];
	while (pairs > 0) {
		size_t count = pairs < GATHERED ? pairs : GATHERED;
		for (size_t i = 0; i < count; i++, octets += TWIN_PAIR) {
			memcpy(lane[0] + i * TWIN_BLOCK, octets, TWIN_BLOCK);
			memcpy(lane[1] + i * TWIN_BLOCK, octets + TWIN_BLOCK, TWIN_BLOCK);
		}
		for (int i = 0; i < 2; i++)
			digest_add(&t->lanes[i],
				   slice_make((const char *)lane[i], count * TWIN_BLOCK));
		pairs -= count;
	}
}

static void add_pairs(struct twin *t, const uint8_t *octets, size_t pairs)
{
	if (pairs > 0 && t->by_instruction)
		twin_pairs_by_instruction(t->state, octets, pairs);
	else if (pairs > 0)
		pairs_by_lanes(t, octets, pairs);
}

void twin_add(struct twin *t, struct slice octets)
{
	t->octets += octets.len;
	if (t->rest_len > 0) {
		struct slice first = slice_sub(octets, 0, TWIN_PAIR - t->rest_len);
		memcpy(t->rest + t->rest_len, first.ptr, first.len);
		t->rest_len += first.len;
		octets = slice_from(octets, first.len);
		if (t->rest_len < TWIN_PAIR)
			return;
		add_pairs(t, t->rest, 1);
		t->rest_len = 0;
	}
	size_t pairs = octets.len / TWIN_PAIR;
	add_pairs(t, (const uint8_t *)octets.ptr, pairs);
	octets = slice_from(octets, pairs * TWIN_PAIR);
	if (octets.len > 0)
		memcpy(t->rest, octets.ptr, octets.len);
	t->rest_len = octets.len;
}

/* The last block or two of one hash, padded; the block beside it is compressed for nothing. */
static void end_state(struct twin *t, int which, struct slice tail, uint8_t out[DIGEST_SIZE])
{
	uint8_t padded[TAIL_MAX] = {0}, pair[TWIN_PAIR] = {0};
	uint64_t whole = t->octets / TWIN_PAIR * TWIN_BLOCK;
	size_t blocks = tail.len < PAD_LENGTH_AT ? 1 : 2;
	if (tail.len > 0)
		memcpy(padded, tail.ptr, tail.len);
	padded[tail.len] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		padded[blocks * TWIN_BLOCK - 1 - i] = (uint8_t)((whole + tail.len) * 8 >> 8 * i);
	for (size_t i = 0; i < blocks; i++) {
		memcpy(pair + which * TWIN_BLOCK, padded + i * TWIN_BLOCK, TWIN_BLOCK);
		twin_pairs_by_instruction(t->state, pair, 1);
	}
	for (unsigned i = 0; i < DIGEST_SIZE; i++)
		out[i] = (uint8_t)(t->state[which][i / 4] >> (24 - 8 * (i % 4)));
}

void twin_end(struct twin *t, uint8_t out[DIGEST_SIZE])
{
	struct slice rest = slice_make((const char *)t->rest, t->rest_len);
	struct slice tail[2] = {slice_sub(rest, 0, TWIN_BLOCK), slice_from(rest, TWIN_BLOCK)};
	uint8_t both[2][DIGEST_SIZE];
	uint32_t kept[TWIN_WORDS];
	memcpy(kept, t->state[1], sizeof(kept));
	for (int i = 0; i < 2; i++) {
		if (t->by_instruction) {
			end_state(t, i, tail[i], both[i]);
			memcpy(t->state[1], kept, sizeof(kept));
		} else {
			digest_add(&t->lanes[i], tail[i]);
			digest_end(&t->lanes[i], both[i]);
		}
	}
	digest_add(&t->lanes[0], slice_make((const char *)both, sizeof(both)));
	digest_end(&t->lanes[0], out);
}
