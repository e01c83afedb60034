/*
 * encode: hex and base64 (RFC 4648), and the look at UTF-8 (RFC 3629).
 */
#ifndef COMMON_BASE_ENCODE_H
#define COMMON_BASE_ENCODE_H

#include "common/base/buffer.h"

/* dst gets 2 * len lower-case digits and a NUL. */
void hex_encode(const void *data, size_t len, char *dst);
bool hex_decode(struct slice s, void *dst, size_t size, size_t *len);
bool base64_encode(struct slice s, struct buffer *out);
/* Strict: padded, no blanks; false on anything else or when out is full. */
bool base64_decode(struct slice s, struct buffer *out);
/* No overlong forms, surrogates or values over U+10FFFF. */
bool utf8_valid(struct slice s);
/* Octets of s's first character (1-4); 0 when s is empty or does not begin with a valid one. */
size_t utf8_length(struct slice s);
/* Is it, a valid character of `len` octets, one that steers a terminal, ends a line for some reader
 * of Unicode text, or turns the writing direction so that a line shows what it does not say? */
bool utf8_steers(const char *str, size_t len);
bool ascii_only(struct slice s);

enum { DECIMAL_MAX = 20 }; /* digits of a 64-bit number */
/* Writes n in digits, no NUL; how many there are. */
size_t decimal_write(uint64_t n, char text[DECIMAL_MAX]);

#endif
