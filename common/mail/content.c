/*
 * content: the flags as a number. The order of the bits is part of the disk format.
 */
#include "common/mail/content.h"

#include <stddef.h>

static const size_t flag_offsets[] = {
    offsetof(struct content_flags, bare_lf),
    offsetof(struct content_flags, bare_cr),
    offsetof(struct content_flags, nul),
    offsetof(struct content_flags, eight_bit),
    offsetof(struct content_flags, eight_bit_header),
    offsetof(struct content_flags, long_line),
    offsetof(struct content_flags, needs_stuffing),
    offsetof(struct content_flags, no_final_crlf),
};

enum { FLAG_COUNT = sizeof(flag_offsets) / sizeof(flag_offsets[0]) };

void content_flags_normalized(struct content_flags *f)
{
	f->needs_stuffing |= f->bare_lf || f->bare_cr;
	f->bare_lf = f->bare_cr = false;
}

uint32_t content_flags_pack(const struct content_flags *f)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < FLAG_COUNT; i++) {
		if (*(const bool *)((const char *)f + flag_offsets[i]))
			bits |= UINT32_C(1) << i;
	}
	return bits;
}

struct content_flags content_flags_unpack(uint32_t bits)
{
	struct content_flags f = {0};

	for (unsigned i = 0; i < FLAG_COUNT; i++)
		*(bool *)((char *)&f + flag_offsets[i]) = (bits >> i & 1) != 0;
	return f;
}
