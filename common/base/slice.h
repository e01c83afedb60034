/*
 * slice: a pointer with its length. It owns nothing and is not NUL-terminated; it lives as long as
 * what it points into. Passed by value.
 */
#ifndef COMMON_BASE_SLICE_H
#define COMMON_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *ptr; /* may be NULL when len is 0 */
	size_t len;	 /* octets */
};

/* A string literal as a slice; printf arguments for "%.*s". */
#define SLICE(literal) ((struct slice){("" literal), sizeof(literal) - 1})
#define SLICE_EMPTY    ((struct slice){NULL, 0})
#define SLICE_FMT(s)   (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct slice slice_make(const void *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

/* The slice of a C string; NULL gives the empty slice. */
static inline struct slice slice_str(const char *str)
{
	return (struct slice){str, str ? strlen(str) : 0};
}

/* Octets equal; ASCII letters folded in the second. */
bool slice_equal(struct slice a, struct slice b);
bool slice_equal_fold(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_fold(struct slice s, struct slice prefix);
bool slice_ends_fold(struct slice s, struct slice suffix);
/* Order by octets, shorter first when one is the other's start: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);
/* Position of the first (last) octet c, or s.len when there is none. */
size_t slice_find(struct slice s, char c);
size_t slice_find_last(struct slice s, char c);
/* From `from` on, at most `len` octets; both are cut to what is there. */
struct slice slice_sub(struct slice s, size_t from, size_t len);
struct slice slice_from(struct slice s, size_t from);
/* Without the blanks (space, tab, CR, LF) at both ends. */
struct slice slice_trim(struct slice s);
/* Splits at the first c: *head before it, *rest after it. Without c: *head all, *rest empty, false.
 */
bool slice_split(struct slice s, char c, struct slice *head, struct slice *rest);
/* The next word of *s between blanks, which is taken off *s; empty at the end. */
struct slice slice_word(struct slice *s);
/* A decimal number, digits only, no sign; false when empty, over 64 bits or over max. */
bool slice_number(struct slice s, uint64_t max, uint64_t *number);
/* Copies into dst of size bytes and terminates; false (dst empty) when it does not fit or s holds
 * a NUL. */
bool slice_copy(struct slice s, char *dst, size_t size);
/* ASCII lower case of one octet, and of s into dst (s.len octets, may be the same memory). */
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
void slice_lower(struct slice s, char *dst);

#endif
