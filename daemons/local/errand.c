/*
 * errand: its records as tables, and several of them in one packet.
 */
#include "daemons/local/errand.h"

#include "common/base/bytes.h"

bool bundle_add(struct buffer *b, struct slice part)
{
	char length[BUNDLE_PART_EXTRA];
	put_u32(length, (uint32_t)part.len);
	if (part.len + BUNDLE_PART_EXTRA > b->limit - b->len)
		return false;
	return buffer_append(b, slice_make(length, BUNDLE_PART_EXTRA)) && buffer_append(b, part);
}

bool bundle_next(struct slice *rest, struct slice *part)
{
	if (rest->len < BUNDLE_PART_EXTRA)
		return false;
	size_t len = get_u32(rest->ptr);
	struct slice after = slice_from(*rest, BUNDLE_PART_EXTRA);
	if (len > after.len)
		return false;
	*part = slice_sub(after, 0, len);
	*rest = slice_from(after, len);
	return true;
}

RECORD_DEFINE(errand, ERRAND_FIELDS)
RECORD_DEFINE(person, PERSON_FIELDS)
