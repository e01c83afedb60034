/*
 * reply: builds reply lines. Texts hold what strangers sent (addresses, names), so every octet is
 * judged here, the last place before the socket.
 */
#include "common/smtp/reply.h"

#include <stdio.h>

enum { CRLF_LEN = 2, CODE_LEN = 3 };

bool refuse(struct refusal *why, unsigned code, const char *enhanced, const char *text)
{
	if (why != NULL)
		*why = (struct refusal){.code = code, .enhanced = enhanced, .text = text};
	return false;
}

static size_t put(char *line, size_t len, struct slice s)
{
	s = slice_sub(s, 0, REPLY_LINE_MAX - CRLF_LEN - len);
	if (s.len > 0)
		memcpy(line + len, s.ptr, s.len);
	return len + s.len;
}

static size_t compose(char line[REPLY_LINE_MAX], unsigned code, char separator,
		      const char *enhanced, struct slice text)
{
	char head[CODE_LEN + 1] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
				   (char)('0' + code % 10), separator};
	size_t len = put(line, 0, slice_make(head, sizeof(head)));

	if (enhanced != NULL) {
		len = put(line, len, slice_str(enhanced));
		len = put(line, len, SLICE(" "));
	}
	len = put(line, len, text);
	for (size_t i = 0; i < len; i++) {
		if (line[i] < 32 || line[i] > 126)
			line[i] = '?';
	}
	line[len++] = '\r';
	line[len++] = '\n';
	return len;
}

size_t reply_line(char line[REPLY_LINE_MAX], unsigned code, const char *enhanced, struct slice text)
{
	return compose(line, code, ' ', enhanced, text);
}

static bool reply_format(struct buffer *out, unsigned code, char separator, const char *enhanced,
			 const char *format, va_list ap)
{
	char text[REPLY_LINE_MAX], line[REPLY_LINE_MAX];
	int size = vsnprintf(text, sizeof(text), format, ap);
	size_t len = size < 0 ? 0 : (size_t)size;

	len = len < sizeof(text) ? len : sizeof(text) - 1;
	len = compose(line, code, separator, enhanced, slice_make(text, len));
	return buffer_append(out, slice_make(line, len));
}

bool reply_write(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;
	bool room;

	va_start(ap, format);
	room = reply_format(out, code, ' ', enhanced, format, ap);
	va_end(ap);
	return room;
}

bool reply_more(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;
	bool room;

	va_start(ap, format);
	room = reply_format(out, code, '-', enhanced, format, ap);
	va_end(ap);
	return room;
}

bool reply_refusal(struct buffer *out, const struct refusal *why)
{
	return reply_write(out, why->code, why->enhanced, "%s", why->text);
}
