/*
 * record: a plain struct described once. The table of its fields is what moves it between
 * processes (wire/codec), fills it from the configuration (config) and lets one fuzzer attack all.
 *
 *	#define GREETING_FIELDS(F, S) \
 *		F(S, u64, request, 0, "what the answer repeats") \
 *		F(S, string, address, 320, "the recipient")
 *	RECORD_DECLARE(greeting, GREETING_FIELDS)
 *	RECORD_DEFINE(greeting, GREETING_FIELDS)
 *
 * The first, in the header, makes struct greeting and greeting_record known; the second stands in
 * one .c file.
 *
 * Kinds: bool u32 u64 (limit: the largest value, 0 for any), string (a slice; limit in octets; no
 * NUL), bytes (a slice; limit in octets), secret (as bytes; a channel wipes it from its memory when
 * it was sent, and when its receiver has handled it), fd (int, -1 when none; at most one a record).
 * Decoded strings and bytes point into the packet: whoever keeps them copies them.
 */
#ifndef COMMON_BASE_RECORD_H
#define COMMON_BASE_RECORD_H

#include "common/base/slice.h"

enum record_kind {
	RECORD_BOOL,
	RECORD_U32,
	RECORD_U64,
	RECORD_STRING,
	RECORD_BYTES,
	RECORD_FD,
	RECORD_SECRET,
};

struct record_field {
	const char *name;
	enum record_kind kind;
	size_t offset; /* in the struct */
	uint64_t limit;
	const char *help; /* meaning and unit, in a few words */
};

struct record {
	const char *name;
	size_t size; /* of the struct */
	size_t field_count;
	const struct record_field *fields;
};

/* The field of that name, or NULL. */
const struct record_field *record_field_find(const struct record *r, struct slice name);
bool record_has_secret(const struct record *r);
/* Makes the struct at data an empty one: all zero, fd -1. */
void record_clear(const struct record *r, void *data);

#define RECORD_TYPE_bool   bool
#define RECORD_TYPE_u32	   uint32_t
#define RECORD_TYPE_u64	   uint64_t
#define RECORD_TYPE_string struct slice
#define RECORD_TYPE_bytes  struct slice
#define RECORD_TYPE_fd	   int
#define RECORD_TYPE_secret struct slice
#define RECORD_KIND_bool   RECORD_BOOL
#define RECORD_KIND_u32	   RECORD_U32
#define RECORD_KIND_u64	   RECORD_U64
#define RECORD_KIND_string RECORD_STRING
#define RECORD_KIND_bytes  RECORD_BYTES
#define RECORD_KIND_fd	   RECORD_FD
#define RECORD_KIND_secret RECORD_SECRET

#define RECORD_MEMBER(self, kind, member, limit, help) RECORD_TYPE_##kind member;
#define RECORD_DECLARE(name, FIELDS)        \
	struct name {                       \
		FIELDS(RECORD_MEMBER, name) \
	};                                  \
	extern const struct record name##_record;
#define RECORD_ROW(self, kind, member, limit, help) \
	{#member, RECORD_KIND_##kind, offsetof(struct self, member), limit, help},
#define RECORD_DEFINE(name_, FIELDS)                                                              \
	static const struct record_field name_##_fields[] = {FIELDS(RECORD_ROW, name_)};          \
	const struct record name_##_record = {#name_, sizeof(struct name_),                       \
					      sizeof(name_##_fields) / sizeof(name_##_fields[0]), \
					      name_##_fields};

#endif
