/*
 * record: the little that is done to a record without knowing its struct: to find a field by its
 * name, and to make an empty one.
 */
#include "common/base/record.h"

const struct record_field *record_field_find(const struct record *r, struct slice name)
{
	for (size_t i = 0; i < r->field_count; i++)
		if (slice_equal(slice_str(r->fields[i].name), name))
			return &r->fields[i];
	return NULL;
}

bool record_has_secret(const struct record *r)
{
	for (size_t i = 0; i < r->field_count; i++)
		if (r->fields[i].kind == RECORD_SECRET)
			return true;
	return false;
}

void record_clear(const struct record *r, void *data)
{
	memset(data, 0, r->size);
	for (size_t i = 0; i < r->field_count; i++)
		if (r->fields[i].kind == RECORD_FD)
			memcpy((char *)data + r->fields[i].offset, &(int){-1}, sizeof(int));
}
