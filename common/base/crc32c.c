/*
 * crc32c: chooses at the program's start how checksums are computed, and the way that works on
 * every processor: eight tables, so that eight octets are folded in at once ("slicing by 8").
 */
#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#define POLYNOMIAL UINT32_C(0x82f63b78) /* Castagnoli, bits reversed */

static uint32_t table[8][256];
static bool use_instruction;

__attribute__((constructor)) static void prepare(void)
{
	use_instruction = crc32c_has_instruction();
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t low = get_u32(p) ^ crc, high = get_u32(p + 4);
		crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
		      table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255] ^
		      table[1][high >> 16 & 255] ^ table[0][high >> 24];
	}
	for (; len > 0; p++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return use_instruction ? crc32c_by_instruction(crc, data, len)
			       : crc32c_by_table(crc, data, len);
}
