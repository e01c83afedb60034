/* bytes: numbers as they lie in memory, and the checksums against published values. */
#include <check.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

START_TEST(numbers_are_little_endian_at_any_address)
{
	uint8_t p[9];
	put_u16(p + 1, 0x0102);
	ck_assert(p[1] == 2 && p[2] == 1);
	ck_assert_uint_eq(get_u16(p + 1), 0x0102);
	put_u32(p + 1, 0x01020304);
	ck_assert(p[1] == 4 && p[4] == 1);
	ck_assert_uint_eq(get_u32(p + 1), 0x01020304);
	put_u64(p + 1, UINT64_C(0x0102030405060708));
	ck_assert(p[1] == 8 && p[8] == 1);
	ck_assert_uint_eq(get_u64(p + 1), UINT64_C(0x0102030405060708));
}
END_TEST

/* RFC 3720 B.4 and the check value of the CRC catalogue. */
START_TEST(crc32c_gives_the_published_values)
{
	uint8_t data[32];
	ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	memset(data, 0, sizeof(data));
	ck_assert_uint_eq(crc32c(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	ck_assert_uint_eq(crc32c(0, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(0, data, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(crc32c(0, data, 32), 0x113fdb5c);
}
END_TEST

/* Bit by bit, as the definition has it. */
static uint32_t slow_crc(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

START_TEST(both_ways_agree_at_every_length_and_cut)
{
	static uint8_t data[8192];
	srand(8);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	for (size_t len = 0; len < 8100; len += len < 1300 ? 1 : 61) {
		const uint8_t *p = data + len % 13;
		uint32_t want = slow_crc(p, len);
		size_t cut = len > 0 ? (size_t)rand() % len : 0;
		ck_assert_uint_eq(crc32c_by_table(0, p, len), want);
		ck_assert_uint_eq(crc32c(0, p, len), want);
		ck_assert_uint_eq(crc32c(crc32c(0, p, cut), p + cut, len - cut), want);
		if (crc32c_has_instruction())
			ck_assert_uint_eq(crc32c_by_instruction(0, p, len), want);
	}
}
END_TEST

/* From the reference implementation's vectors: key 00..0f, data 00..(len - 1). */
START_TEST(siphash_gives_the_published_values)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} cases[] = {
	    {0, UINT64_C(0x726fdb47dd0e0e31)},	{1, UINT64_C(0x74f839c593dc67fd)},
	    {7, UINT64_C(0xab0200f58b01d137)},	{8, UINT64_C(0x93f5f5799a932462)},
	    {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)},
	};
	uint8_t key[16], data[64];
	for (int i = 0; i < 64; i++)
		data[i] = key[i % 16] = (uint8_t)i;
	for (int i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(siphash(key, data, cases[i].len), cases[i].hash);
	ck_assert_uint_eq(siphash(key, NULL, 0), cases[0].hash);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bytes");
	TCase *c = tcase_create("bytes");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, numbers_are_little_endian_at_any_address);
	tcase_add_test(c, crc32c_gives_the_published_values);
	tcase_add_test(c, both_ways_agree_at_every_length_and_cut);
	tcase_add_test(c, siphash_gives_the_published_values);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
