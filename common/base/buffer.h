/*
 * buffer: a growable run of octets with a limit. Owner: whoever holds the struct; its memory is
 * taken at the first append and given back by buffer_free or buffer_release.
 */
#ifndef COMMON_BASE_BUFFER_H
#define COMMON_BASE_BUFFER_H

#include <stdarg.h>

#include "common/base/slice.h"

struct buffer {
	char *data;
	size_t start; /* consumed octets before the content */
	size_t len;   /* content length */
	size_t size;  /* allocated */
	size_t limit; /* content never grows over this many octets */
};

void buffer_init(struct buffer *b, size_t limit);
void buffer_free(struct buffer *b);
/* Empties; keeps the memory. */
void buffer_reset(struct buffer *b);
struct slice buffer_slice(const struct buffer *b);
/* All appends: false, with nothing appended, when the limit would be passed. */
bool buffer_append(struct buffer *b, struct slice s);
bool buffer_byte(struct buffer *b, char c);
bool buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buffer_vprintf(struct buffer *b, const char *format, va_list ap);
/* Room for `want` more octets at the tail (at most up to the limit); *room says how many there
 * are. NULL at the limit. buffer_grew() tells how many were written. */
char *buffer_reserve(struct buffer *b, size_t want, size_t *room);
void buffer_grew(struct buffer *b, size_t n);
/* Takes n octets off the front. */
void buffer_consume(struct buffer *b, size_t n);
/* Cuts the content to n octets. */
void buffer_truncate(struct buffer *b, size_t n);
/* Gives the memory back when the buffer is empty: for sessions that idle. */
void buffer_release(struct buffer *b);

#endif
