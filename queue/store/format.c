/*
 * format: the heads of batches and of large files. Both carry a nonce that no stranger knows and
 * say where they belong, so that neither old octets nor content can pose as one.
 */
#include "queue/store/format.h"

#include "common/base/bytes.h"

void batch_head_encode(const struct batch_head *h, uint8_t out[BATCH_HEADER_SIZE])
{
	put_u32(out, BATCH_MAGIC);
	put_u16(out + 4, BATCH_VERSION);
	put_u16(out + 6, BATCH_HEADER_SIZE);
	put_u64(out + 8, h->lease);
	memcpy(out + 16, h->nonce, NONCE_SIZE);
	put_u64(out + 32, h->sequence);
	put_u64(out + 40, h->offset);
	put_u32(out + 48, h->octets);
	put_u32(out + 52, h->records);
	put_u32(out + 56, h->ordinal);
	put_u32(out + 60, crc32c(0, out, 60));
}

bool batch_head_decode(const void *octets, struct batch_head *h)
{
	const uint8_t *at = octets;
	if (get_u32(at) != BATCH_MAGIC || get_u16(at + 4) != BATCH_VERSION ||
	    get_u16(at + 6) != BATCH_HEADER_SIZE || get_u32(at + 60) != crc32c(0, at, 60))
		return false;
	*h = (struct batch_head){
	    .lease = get_u64(at + 8),
	    .sequence = get_u64(at + 32),
	    .offset = get_u64(at + 40),
	    .octets = get_u32(at + 48),
	    .records = get_u32(at + 52),
	    .ordinal = get_u32(at + 56),
	};
	memcpy(h->nonce, at + 16, NONCE_SIZE);
	return true;
}

enum { LARGE_HEAD_USED = 36 }; /* zeros behind */

static void encode_large(unsigned version, uint64_t number, const uint8_t nonce[NONCE_SIZE],
			 uint8_t out[LARGE_HEAD_USED])
{
	memset(out, 0, LARGE_HEAD_USED);
	put_u32(out, LARGE_MAGIC);
	put_u16(out + 4, (uint16_t)version);
	put_u64(out + 8, number);
	memcpy(out + 16, nonce, NONCE_SIZE);
	put_u32(out + 32, crc32c(0, out, 32));
}

void large_head_encode(uint64_t number, const uint8_t nonce[NONCE_SIZE],
		       uint8_t out[LARGE_HEAD_SIZE])
{
	memset(out, 0, LARGE_HEAD_SIZE);
	encode_large(LARGE_VERSION, number, nonce, out);
}

unsigned large_head_version(const uint8_t octets[LARGE_HEAD_SIZE], uint64_t number,
			    const uint8_t nonce[NONCE_SIZE])
{
	for (unsigned version = LARGE_VERSION; version >= LARGE_VERSION_PLAIN; version--) {
		uint8_t right[LARGE_HEAD_USED];
		encode_large(version, number, nonce, right);
		if (memcmp(octets, right, LARGE_HEAD_USED) == 0)
			return version;
	}
	return 0;
}
