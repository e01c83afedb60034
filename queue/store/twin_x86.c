/*
 * twin_x86: by the processor's instructions for SHA-256. One of them does two rounds and its result
 * is there after four cycles, but the next one, of the other hash, can begin after two.
 */
#include "common/base/error.h"
#include "queue/store/twin.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

enum { ROUNDS = 64, AT_ONCE = 4, GROUPS = ROUNDS / AT_ONCE, CPUID_SHA = 1 << 29 };

#define WITH_INSTRUCTION __attribute__((target("sha,sse4.1")))

/* FIPS 180-4 4.2.2 */
static const uint32_t constants[ROUNDS] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

bool twin_has_instruction(void)
{
	unsigned a, b, c, d;
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
	       (b & CPUID_SHA) != 0;
}

/* A state as the instructions want it: the words A, B, E, F and C, D, G, H, from the top down. */
struct lane {
	__m128i abef, cdgh;
	__m128i words[4]; /* of the message schedule, four in each */
};

WITH_INSTRUCTION static inline void load_state(struct lane *l, const uint32_t state[TWIN_WORDS])
{
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const void *)state), 0xb1);
	__m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const void *)(state + 4)), 0x1b);
	l->abef = _mm_alignr_epi8(cdab, efgh, 8);
	l->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

WITH_INSTRUCTION static inline void store_state(const struct lane *l, uint32_t state[TWIN_WORDS])
{
	__m128i feba = _mm_shuffle_epi32(l->abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);
	_mm_storeu_si128((void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

WITH_INSTRUCTION static inline void load_block(struct lane *l, const uint8_t *block)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	for (int i = 0; i < 4; i++)
		l->words[i] =
		    _mm_shuffle_epi8(_mm_loadu_si128((const void *)(block + 16 * i)), big_endian);
}

/* The words of four rounds, four groups on from group i. */
WITH_INSTRUCTION static inline void schedule(struct lane *l, int i)
{
	__m128i *w = l->words, before = w[(i + 3) & 3];
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]),
				    _mm_alignr_epi8(before, w[(i + 2) & 3], 4));
	w[i & 3] = _mm_sha256msg2_epu32(sum, before);
}

WITH_INSTRUCTION static inline void four_rounds(struct lane l[2], int i)
{
	__m128i k = _mm_load_si128((const void *)&constants[AT_ONCE * i]);
	__m128i even = _mm_add_epi32(l[0].words[i & 3], k);
	__m128i odd = _mm_add_epi32(l[1].words[i & 3], k);
	l[0].cdgh = _mm_sha256rnds2_epu32(l[0].cdgh, l[0].abef, even);
	l[1].cdgh = _mm_sha256rnds2_epu32(l[1].cdgh, l[1].abef, odd);
	even = _mm_shuffle_epi32(even, 0x0e);
	odd = _mm_shuffle_epi32(odd, 0x0e);
	l[0].abef = _mm_sha256rnds2_epu32(l[0].abef, l[0].cdgh, even);
	l[1].abef = _mm_sha256rnds2_epu32(l[1].abef, l[1].cdgh, odd);
	if (i < GROUPS - 4) {
		schedule(&l[0], i);
		schedule(&l[1], i);
	}
}

WITH_INSTRUCTION void twin_pairs_by_instruction(uint32_t state[2][TWIN_WORDS],
						const uint8_t *octets, size_t pairs)
{
	struct lane l[2];
	load_state(&l[0], state[0]);
	load_state(&l[1], state[1]);
	for (; pairs > 0; pairs--, octets += TWIN_PAIR) {
		struct lane before[2] = {l[0], l[1]};
		load_block(&l[0], octets);
		load_block(&l[1], octets + TWIN_BLOCK);
#pragma GCC unroll 16
		for (int i = 0; i < GROUPS; i++)
			four_rounds(l, i);
		for (int i = 0; i < 2; i++) {
			l[i].abef = _mm_add_epi32(l[i].abef, before[i].abef);
			l[i].cdgh = _mm_add_epi32(l[i].cdgh, before[i].cdgh);
		}
	}
	store_state(&l[0], state[0]);
	store_state(&l[1], state[1]);
}

#else

bool twin_has_instruction(void)
{
	return false;
}

void twin_pairs_by_instruction(uint32_t state[2][TWIN_WORDS], const uint8_t *octets, size_t pairs)
{
	(void)state, (void)octets, (void)pairs;
	panic("twin: this processor has no such instructions");
}

#endif
