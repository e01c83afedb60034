/*
 * buffer: the content lies at data + start and is len octets long. Octets are taken at the front
 * by moving start; room at the tail is made by moving the content to the front when at least half
 * of the memory lies before it, and by doubling the memory otherwise, so that an octet is copied a
 * constant number of times. The memory is at most one octet (printf's NUL) over the limit.
 */
#include <stdio.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/memory.h"

enum { BUFFER_FIRST_SIZE = 256 };

void buffer_init(struct buffer *b, size_t limit)
{
	*b = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *b)
{
	memory_free(b->data);
	buffer_init(b, b->limit);
}

void buffer_reset(struct buffer *b)
{
	b->start = 0;
	b->len = 0;
}

struct slice buffer_slice(const struct buffer *b)
{
	return b->data ? slice_make(b->data + b->start, b->len) : SLICE_EMPTY;
}

static void move_to_front(struct buffer *b)
{
	if (b->data && b->start > 0 && b->len > 0)
		memmove(b->data, b->data + b->start, b->len);
	b->start = 0;
}

/* Makes room for n octets at the tail; the caller has seen that len + n <= limit + 1. */
static void make_room(struct buffer *b, size_t n)
{
	if (n <= b->size - b->start - b->len)
		return;
	size_t need = b->len + n, most = b->limit < SIZE_MAX ? b->limit + 1 : SIZE_MAX;
	if (need <= b->size && (b->start >= b->size / 2 || b->size == most)) {
		move_to_front(b);
		return;
	}
	size_t size = b->size > 0 ? b->size : BUFFER_FIRST_SIZE;
	if (b->size > 0)
		size = size > most / 2 ? most : size * 2;
	if (size < need)
		size = need;
	if (size > most)
		size = most;
	move_to_front(b);
	b->data = memory_resize(b->data, size, 1);
	b->size = size;
}

/* Whether n octets fit under the limit; if so there is room for them. */
static bool admits(struct buffer *b, size_t n)
{
	if (b->len > b->limit || n > b->limit - b->len)
		return false;
	make_room(b, n);
	return true;
}

bool buffer_append(struct buffer *b, struct slice s)
{
	if (!admits(b, s.len))
		return false;
	if (s.len > 0)
		memcpy(b->data + b->start + b->len, s.ptr, s.len);
	b->len += s.len;
	return true;
}

bool buffer_byte(struct buffer *b, char c)
{
	if (!admits(b, 1))
		return false;
	b->data[b->start + b->len++] = c;
	return true;
}

bool buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	bool fits = buffer_vprintf(b, format, ap);
	va_end(ap);
	return fits;
}

bool buffer_vprintf(struct buffer *b, const char *format, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	size_t room = b->size - b->start - b->len;
	char *tail = b->data ? b->data + b->start + b->len : NULL;
	int n = vsnprintf(tail, tail ? room : 0, format, ap);
	bool fits = n >= 0 && b->len <= b->limit && (size_t)n <= b->limit - b->len;
	if (fits && (size_t)n >= room) {
		make_room(b, (size_t)n + 1);
		vsnprintf(b->data + b->start + b->len, (size_t)n + 1, format, again);
	}
	va_end(again);
	if (fits)
		b->len += (size_t)n;
	return fits;
}

char *buffer_reserve(struct buffer *b, size_t want, size_t *room)
{
	*room = 0;
	if (b->len >= b->limit)
		return NULL;
	size_t allowed = b->limit - b->len;
	make_room(b, want == 0 ? 1 : want < allowed ? want : allowed);
	size_t there = b->size - b->start - b->len;
	*room = there < allowed ? there : allowed;
	return b->data + b->start + b->len;
}

void buffer_grew(struct buffer *b, size_t n)
{
	size_t room = b->size - b->start - b->len;
	if (room > b->limit - b->len)
		room = b->limit - b->len;
	if (n > room)
		panic("buffer: %zu octets were written where %zu had room", n, room);
	b->len += n;
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n > b->len)
		panic("buffer: %zu octets consumed of %zu", n, b->len);
	b->len -= n;
	b->start = b->len > 0 ? b->start + n : 0;
}

void buffer_truncate(struct buffer *b, size_t n)
{
	if (n > b->len)
		panic("buffer: cut to %zu octets of %zu", n, b->len);
	b->len = n;
	if (n == 0)
		b->start = 0;
}

void buffer_release(struct buffer *b)
{
	if (b->len == 0)
		buffer_free(b);
}
