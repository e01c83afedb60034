/*
 * crc32c: the two ways to compute bytes.h's checksum, for crc32c.c alone and its test.
 */
#ifndef COMMON_BASE_CRC32C_H
#define COMMON_BASE_CRC32C_H

#include "common/base/slice.h"

/* Whether this processor has the instructions of crc32c_by_instruction. */
bool crc32c_has_instruction(void);
uint32_t crc32c_by_instruction(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len);

#endif
