/*
 * xtext: every octet judged twice, as it is written and as what it stands for.
 */
#include "common/mail/xtext.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool xtext_valid(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		int high, low, octet;

		if (c < 33 || c > 126 || c == '=')
			return false;
		if (c != '+')
			continue;
		if (s.len - i < XTEXT_ESCAPE)
			return false;
		high = hex_digit(s.ptr[i + 1]);
		low = hex_digit(s.ptr[i + 2]);
		octet = high * 16 + low;
		if (high < 0 || low < 0 || octet < 32 || octet > 126)
			return false;
		i += XTEXT_ESCAPE - 1;
	}
	return true;
}

static bool is_plain(char c)
{
	return c > 32 && c < 127 && c != '+' && c != '=';
}

/* Most text has nothing to be escaped: it goes over in one piece. */
bool xtext_encode(struct slice s, struct buffer *out)
{
	static const char digits[] = "0123456789ABCDEF";

	while (s.len > 0) {
		size_t plain = 0;
		while (plain < s.len && is_plain(s.ptr[plain]))
			plain++;
		if (!buffer_append(out, slice_sub(s, 0, plain)))
			return false;
		if (plain == s.len)
			break;
		unsigned char c = (unsigned char)s.ptr[plain];
		char escape[XTEXT_ESCAPE] = {'+', digits[c >> 4], digits[c & 15]};
		if (!buffer_append(out, slice_make(escape, XTEXT_ESCAPE)))
			return false;
		s = slice_from(s, plain + 1);
	}
	return true;
}

bool xtext_decode(struct slice s, struct buffer *out)
{
	if (!xtext_valid(s))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '+') {
			c = (char)(hex_digit(s.ptr[i + 1]) * 16 + hex_digit(s.ptr[i + 2]));
			i += XTEXT_ESCAPE - 1;
		}
		if (!buffer_byte(out, c))
			return false;
	}
	return true;
}
