/*
 * slice: comparing, searching and cutting runs of octets. Nothing here allocates, and nothing
 * looks behind a slice's end. Letters are folded as ASCII, whatever the locale: mail addresses,
 * host names and verbs are folded so (RFC 5321 2.4).
 */
#include "common/base/slice.h"

void slice_lower(struct slice s, char *dst)
{
	for (size_t i = 0; i < s.len; i++)
		dst[i] = ascii_lower(s.ptr[i]);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* memcmp must not see a null pointer, not even for no octets. */
static bool same(const char *a, const char *b, size_t len)
{
	return len == 0 || memcmp(a, b, len) == 0;
}

static bool same_fold(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && same(a.ptr, b.ptr, a.len);
}

bool slice_equal_fold(struct slice a, struct slice b)
{
	return a.len == b.len && same_fold(a.ptr, b.ptr, a.len);
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && same(s.ptr, prefix.ptr, prefix.len);
}

bool slice_starts_fold(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && same_fold(s.ptr, prefix.ptr, prefix.len);
}

bool slice_ends_fold(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_equal_fold(slice_from(s, s.len - suffix.len), suffix);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

size_t slice_find(struct slice s, char c)
{
	const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);
	return at ? (size_t)(at - s.ptr) : s.len;
}

size_t slice_find_last(struct slice s, char c)
{
	const char *at = s.len == 0 ? NULL : memrchr(s.ptr, c, s.len);
	return at ? (size_t)(at - s.ptr) : s.len;
}

struct slice slice_from(struct slice s, size_t from)
{
	if (from >= s.len)
		return slice_make(s.len == 0 ? s.ptr : s.ptr + s.len, 0);
	return slice_make(s.ptr + from, s.len - from);
}

struct slice slice_sub(struct slice s, size_t from, size_t len)
{
	s = slice_from(s, from);
	if (s.len > len)
		s.len = len;
	return s;
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[0]))
		s = slice_from(s, 1);
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool slice_split(struct slice s, char c, struct slice *head, struct slice *rest)
{
	size_t at = slice_find(s, c);
	*head = slice_sub(s, 0, at);
	*rest = slice_from(s, at + (at < s.len));
	return at < s.len;
}

struct slice slice_word(struct slice *s)
{
	size_t from = 0, to;
	while (from < s->len && is_blank(s->ptr[from]))
		from++;
	for (to = from; to < s->len && !is_blank(s->ptr[to]);)
		to++;
	struct slice word = slice_sub(*s, from, to - from);
	*s = slice_from(*s, to);
	return word;
}

bool slice_number(struct slice s, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n))
			return false;
	}
	if (n > max)
		return false;
	*number = n;
	return true;
}

bool slice_copy(struct slice s, char *dst, size_t size)
{
	if (size == 0)
		return false;
	dst[0] = '\0';
	if (s.len >= size || slice_find(s, '\0') < s.len)
		return false;
	if (s.len > 0)
		memcpy(dst, s.ptr, s.len);
	dst[s.len] = '\0';
	return true;
}
