/*
 * reply: builds reply lines. Texts hold what strangers sent (addresses, names), so every octet is
 * judged here, the last place before the socket.
 */
#include "common/smtp/reply.h"

#include <stdio.h>

enum { CRLF_LEN = 2 };

bool refuse(struct refusal *why, unsigned code, const char *enhanced, const char *text)
{
	if (why != NULL)
		*why = (struct refusal){.code = code, .enhanced = enhanced, .text = text};
	return false;
}

static bool reply_line(struct buffer *out, unsigned code, char separator, const char *enhanced,
		       const char *format, va_list ap)
{
	char line[REPLY_LINE_MAX];
	/* the last octet of what may be text is left to the NUL of snprintf */
	size_t max = sizeof(line) - CRLF_LEN, len;
	int size;

	size = snprintf(line, max, "%03u%c%s%s", code % 1000, separator, enhanced ? enhanced : "",
			enhanced ? " " : "");
	len = size > 0 && (size_t)size < max ? (size_t)size : max - 1;
	size = vsnprintf(line + len, max - len, format, ap);
	if (size > 0)
		len += (size_t)size < max - len ? (size_t)size : max - len - 1;
	for (size_t i = 0; i < len; i++) {
		if (line[i] < 32 || line[i] > 126)
			line[i] = '?';
	}
	line[len++] = '\r';
	line[len++] = '\n';
	return buffer_append(out, slice_make(line, len));
}

bool reply_write(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;
	bool room;

	va_start(ap, format);
	room = reply_line(out, code, ' ', enhanced, format, ap);
	va_end(ap);
	return room;
}

bool reply_more(struct buffer *out, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;
	bool room;

	va_start(ap, format);
	room = reply_line(out, code, '-', enhanced, format, ap);
	va_end(ap);
	return room;
}

bool reply_refusal(struct buffer *out, const struct refusal *why)
{
	return reply_write(out, why->code, why->enhanced, "%s", why->text);
}
