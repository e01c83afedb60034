/*
 * codec: encoding measures first, so that a record is either appended whole or not at all and the
 * octets are written straight to their place; decoding trusts no length and copies no string.
 */
#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/wire/codec.h"

static const void *field_get(const struct record_field *f, const void *value)
{
	return (const char *)value + f->offset;
}

static void *field_put(const struct record_field *f, void *value)
{
	return (char *)value + f->offset;
}

static bool within(const struct record_field *f, uint64_t number)
{
	return f->limit == 0 || number <= f->limit;
}

/* A NUL would make the receiver take the sender for broken, so it is refused at both ends. */
static bool is_sound(const struct record_field *f, struct slice s)
{
	if (s.len > f->limit || s.len > UINT32_MAX)
		return false;
	return f->kind != RECORD_STRING || s.len == 0 || !memchr(s.ptr, '\0', s.len);
}

/* Octets that the field will take; false when its value is not allowed. */
static bool measure(const struct record_field *f, const void *value, size_t *octets)
{
	const void *p = field_get(f, value);
	switch (f->kind) {
	case RECORD_BOOL:
		*octets += 1;
		return true;
	case RECORD_U32:
		*octets += sizeof(uint32_t);
		return within(f, *(const uint32_t *)p);
	case RECORD_U64:
		*octets += sizeof(uint64_t);
		return within(f, *(const uint64_t *)p);
	case RECORD_STRING:
	case RECORD_BYTES:
	case RECORD_SECRET:
		*octets += sizeof(uint32_t) + ((const struct slice *)p)->len;
		return is_sound(f, *(const struct slice *)p);
	case RECORD_FD:
		return true;
	}
	panic("codec: the field %s is of no known kind", f->name);
}

static char *put_slice(char *at, const struct slice *s)
{
	put_u32(at, (uint32_t)s->len);
	at += sizeof(uint32_t);
	if (s->len > 0)
		memcpy(at, s->ptr, s->len);
	return at + s->len;
}

static char *write_field(const struct record_field *f, const void *value, char *at)
{
	const void *p = field_get(f, value);
	switch (f->kind) {
	case RECORD_BOOL:
		*at = *(const bool *)p ? 1 : 0;
		return at + 1;
	case RECORD_U32:
		put_u32(at, *(const uint32_t *)p);
		return at + sizeof(uint32_t);
	case RECORD_U64:
		put_u64(at, *(const uint64_t *)p);
		return at + sizeof(uint64_t);
	case RECORD_STRING:
	case RECORD_BYTES:
	case RECORD_SECRET:
		return put_slice(at, p);
	case RECORD_FD:
		break;
	}
	return at;
}

bool codec_encode(const struct record *record, const void *value, struct buffer *out)
{
	size_t octets = 0, room;
	for (size_t i = 0; i < record->field_count; i++)
		if (!measure(&record->fields[i], value, &octets))
			return false;
	if (octets == 0)
		return true;
	char *at = buffer_reserve(out, octets, &room);
	if (!at || room < octets)
		return false;
	for (size_t i = 0; i < record->field_count; i++)
		at = write_field(&record->fields[i], value, at);
	buffer_grew(out, octets);
	return true;
}

static bool take(struct slice *from, size_t octets, const char **at)
{
	if (from->len < octets)
		return false;
	*at = from->ptr;
	*from = slice_from(*from, octets);
	return true;
}

static bool read_slice(const struct record_field *f, struct slice *from, struct slice *to)
{
	const char *at;
	if (!take(from, sizeof(uint32_t), &at))
		return false;
	size_t octets = get_u32(at);
	if (!take(from, octets, &at))
		return false;
	*to = slice_make(at, octets);
	return is_sound(f, *to);
}

static bool read_number(const struct record_field *f, struct slice *from, void *to)
{
	const char *at;
	if (f->kind == RECORD_U32) {
		if (!take(from, sizeof(uint32_t), &at))
			return false;
		*(uint32_t *)to = get_u32(at);
		return within(f, *(uint32_t *)to);
	}
	if (!take(from, sizeof(uint64_t), &at))
		return false;
	*(uint64_t *)to = get_u64(at);
	return within(f, *(uint64_t *)to);
}

static bool read_bool(struct slice *from, bool *to)
{
	const char *at;
	if (!take(from, 1, &at) || (*at != 0 && *at != 1))
		return false;
	*to = *at == 1;
	return true;
}

static bool read_field(const struct record_field *f, struct slice *from, void *value)
{
	void *p = field_put(f, value);
	switch (f->kind) {
	case RECORD_BOOL:
		return read_bool(from, p);
	case RECORD_U32:
	case RECORD_U64:
		return read_number(f, from, p);
	case RECORD_STRING:
	case RECORD_BYTES:
	case RECORD_SECRET:
		return read_slice(f, from, p);
	case RECORD_FD:
		*(int *)p = -1;
		return true;
	}
	panic("codec: the field %s is of no known kind", f->name);
}

bool codec_decode(const struct record *record, struct slice payload, void *value)
{
	memset(value, 0, record->size);
	for (size_t i = 0; i < record->field_count; i++)
		if (!read_field(&record->fields[i], &payload, value))
			return false;
	return payload.len == 0;
}

const struct record_field *codec_fd_field(const struct record *record)
{
	for (size_t i = 0; i < record->field_count; i++)
		if (record->fields[i].kind == RECORD_FD)
			return &record->fields[i];
	return NULL;
}
