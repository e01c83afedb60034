/*
 * crc32c_x86: by SSE4.2's crc32 instruction. It takes three cycles for eight octets but can be
 * started every cycle, so long data is cut into three lanes that are computed side by side; a
 * lane's checksum is then moved over the lanes behind it by one carry-less multiplication.
 */
#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { LONG_LANE = 1024, SHORT_LANE = 128 };

/* To move a checksum over n octets is to multiply it by x^(8n) modulo the polynomial. 33 of the
 * exponent come about by themselves: 32 in the instruction that reduces the product, 1 by the
 * reversed order of its bits. So these are x^(8n - 33), for one lane and for two. */
static const uint32_t over_long = 0x170076fa, over_two_long = 0xa51b6135;
static const uint32_t over_short = 0x0d3b6092, over_two_short = 0xb9e02b86;

#define WITH_INSTRUCTION __attribute__((target("sse4.2,pclmul")))

bool crc32c_has_instruction(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

WITH_INSTRUCTION static uint64_t move_over(uint64_t crc, uint32_t multiplier)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
					       _mm_cvtsi64_si128(multiplier), 0);
	return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Folds 3 * lane octets into crc. */
WITH_INSTRUCTION static inline uint64_t three_lanes(uint64_t crc, const uint8_t *p, size_t lane,
						    uint32_t over_one, uint32_t over_two)
{
	uint64_t second = 0, third = 0;
	for (size_t i = 0; i < lane; i += 8) {
		crc = _mm_crc32_u64(crc, get_u64(p + i));
		second = _mm_crc32_u64(second, get_u64(p + lane + i));
		third = _mm_crc32_u64(third, get_u64(p + 2 * lane + i));
	}
	return move_over(crc, over_two) ^ move_over(second, over_one) ^ third;
}

WITH_INSTRUCTION uint32_t crc32c_by_instruction(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t c = ~crc;
	for (; len >= 3 * LONG_LANE; p += 3 * LONG_LANE, len -= 3 * LONG_LANE)
		c = three_lanes(c, p, LONG_LANE, over_long, over_two_long);
	for (; len >= 3 * SHORT_LANE; p += 3 * SHORT_LANE, len -= 3 * SHORT_LANE)
		c = three_lanes(c, p, SHORT_LANE, over_short, over_two_short);
	for (; len >= 8; p += 8, len -= 8)
		c = _mm_crc32_u64(c, get_u64(p));
	for (; len > 0; p++, len--)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return ~(uint32_t)c;
}

#else

bool crc32c_has_instruction(void)
{
	return false;
}

uint32_t crc32c_by_instruction(uint32_t crc, const void *data, size_t len)
{
	return crc32c_by_table(crc, data, len);
}

#endif
