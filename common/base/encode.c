/*
 * encode: hex and base64 as RFC 4648 has them, without the liberties it allows: a decoder takes
 * exactly what an encoder could have written. UTF-8 as in the table of RFC 3629 4.
 */
#include "common/base/encode.h"

enum { NO_DIGIT = 255 };

void hex_encode(const void *data, size_t len, char *dst)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++) {
		*dst++ = digits[p[i] >> 4];
		*dst++ = digits[p[i] & 15];
	}
	*dst = '\0';
}

static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : NO_DIGIT;
}

bool hex_decode(struct slice s, void *dst, size_t size, size_t *len)
{
	uint8_t *p = dst;
	if (s.len % 2 != 0 || s.len / 2 > size)
		return false;
	for (size_t i = 0; i < s.len; i += 2) {
		unsigned high = hex_digit(s.ptr[i]), low = hex_digit(s.ptr[i + 1]);
		if (high == NO_DIGIT || low == NO_DIGIT)
			return false;
		p[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = s.len / 2;
	return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static unsigned base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	return c == '+' ? 62 : c == '/' ? 63 : NO_DIGIT;
}

bool base64_encode(struct slice s, struct buffer *out)
{
	size_t before = out->len;
	for (size_t at = 0; at < s.len; at += 3) {
		uint8_t in[3] = {0};
		size_t n = s.len - at < 3 ? s.len - at : 3;
		memcpy(in, s.ptr + at, n);
		char four[4] = {
		    base64_digits[in[0] >> 2],
		    base64_digits[(in[0] << 4 | in[1] >> 4) & 63],
		    n > 1 ? base64_digits[(in[1] << 2 | in[2] >> 6) & 63] : '=',
		    n > 2 ? base64_digits[in[2] & 63] : '=',
		};
		if (!buffer_append(out, slice_make(four, 4))) {
			buffer_truncate(out, before);
			return false;
		}
	}
	return true;
}

/* Four characters, of which the last may be padded when `final`; 0: they are wrong. */
static size_t decode_four(const char *four, bool final, char dst[3])
{
	size_t count = 3;
	unsigned d[4];
	if (final && four[3] == '=')
		count = four[2] == '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		d[i] = i <= count ? base64_digit(four[i]) : 0;
		if (d[i] == NO_DIGIT)
			return 0;
	}
	/* RFC 4648 3.5: the bits behind the last octet are zero. */
	if ((count == 1 && d[1] & 15) || (count == 2 && d[2] & 3))
		return 0;
	dst[0] = (char)(d[0] << 2 | d[1] >> 4);
	dst[1] = (char)(d[1] << 4 | d[2] >> 2);
	dst[2] = (char)(d[2] << 6 | d[3]);
	return count;
}

bool base64_decode(struct slice s, struct buffer *out)
{
	size_t before = out->len;
	if (s.len % 4 != 0)
		return false;
	for (size_t at = 0; at < s.len; at += 4) {
		char three[3];
		size_t n = decode_four(s.ptr + at, at + 4 == s.len, three);
		if (n == 0 || !buffer_append(out, slice_make(three, n))) {
			buffer_truncate(out, before);
			return false;
		}
	}
	return true;
}

size_t utf8_length(struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.ptr;
	if (s.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || s.len < len)
		return 0;
	/* the second octet's range keeps out overlong forms, surrogates and what is too large */
	uint8_t least = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t most = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < least || p[1] > most)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* How many octets at the start are ASCII, perhaps up to seven fewer. */
static size_t ascii_run(struct slice s)
{
	size_t at = 0;
	for (uint64_t word; at + sizeof(word) <= s.len; at += sizeof(word)) {
		memcpy(&word, s.ptr + at, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	return at;
}

bool utf8_valid(struct slice s)
{
	size_t len = 1;
	for (s = slice_from(s, ascii_run(s)); s.len > 0 && len > 0; s = slice_from(s, len))
		len = utf8_length(s);
	return len > 0;
}

bool utf8_steers(const char *str, size_t len)
{
	const uint8_t *c = (const uint8_t *)str;
	if (len == 2)
		return (c[0] == 0xc2 && c[1] < 0xa0) || /* C1: U+0080 to U+009F */
		       (c[0] == 0xd8 && c[1] == 0x9c);	/* U+061C */
	if (len != 3 || c[0] != 0xe2)
		return false;
	return (c[1] == 0x80 && (c[2] | 1) == 0x8f) ||		 /* U+200E, U+200F */
	       (c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) || /* U+2028 to U+202E */
	       (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);	 /* U+2066 to U+2069 */
}

bool ascii_only(struct slice s)
{
	for (size_t at = ascii_run(s); at < s.len; at++)
		if (s.ptr[at] & 0x80)
			return false;
	return true;
}

size_t decimal_write(uint64_t n, char text[DECIMAL_MAX])
{
	char digits[DECIMAL_MAX];
	size_t at = DECIMAL_MAX;
	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	memcpy(text, digits + at, DECIMAL_MAX - at);
	return DECIMAL_MAX - at;
}
