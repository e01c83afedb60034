/*
 * bytes: numbers in memory, little-endian, for the disk format and the wire; checksums.
 */
#ifndef COMMON_BASE_BYTES_H
#define COMMON_BASE_BYTES_H

#include <endian.h>

#include "common/base/slice.h"

static inline void put_u16(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_u32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_u64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t get_u16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_u32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_u64(const void *p)
{
	uint64_t v;
	/* who has a length has octets. NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* CRC-32C (Castagnoli), by the processor's instruction where it has one. `crc` is 0 at first and
 * the former result to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* SipHash-2-4 of data under a key of 16 octets. */
uint64_t siphash(const uint8_t key[16], const void *data, size_t len);

#endif
