/*
 * Text for people: addresses, replies and names come from strangers, a terminal obeys what it
 * reads, so there is one way out and it lets only printable characters pass.
 */
#include "commands/stagepost/words.h"

#include <inttypes.h>
#include <stdarg.h>

#include "common/base/encode.h"
#include "common/os/clock.h"

size_t words_safe(struct slice s)
{
	const uint8_t *c = (const uint8_t *)s.ptr;
	size_t len = utf8_length(s);
	if (len == 1)
		return c[0] >= ' ' && c[0] < 0x7f;
	if (len == 2)
		return c[0] == 0xc2 && c[1] < 0xa0 ? 0 : 2; /* C1: U+0080 to U+009F */
	if (len == 3 && c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0x8e && c[2] <= 0x8f)
		return 0; /* marks of direction: U+200E, U+200F */
	if (len == 3 && c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae)
		return 0; /* separators of lines, overrides of direction: U+2028 to U+202E */
	if (len == 3 && c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)
		return 0; /* isolates of direction: U+2066 to U+2069 */
	return len;
}

static void print(FILE *to, struct slice s, bool lines)
{
	while (s.len > 0) {
		size_t len = words_safe(s);
		if (lines && slice_starts(s, SLICE("\r\n")))
			s = slice_from(s, 1);
		if (len == 0 && lines && (s.ptr[0] == '\n' || s.ptr[0] == '\t'))
			len = 1;
		if (len == 0) {
			fprintf(to, "\\x%02x", (unsigned)(uint8_t)s.ptr[0]);
			len = 1;
		} else {
			fwrite(s.ptr, 1, len, to);
		}
		s = slice_from(s, len);
	}
}

void words_print(FILE *to, struct slice s)
{
	print(to, s, false);
}

void words_print_lines(FILE *to, struct slice s)
{
	print(to, s, true);
}

int complain(int code, const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fflush(stdout);
	fputs("stagepost: ", stderr);
	words_print_lines(stderr, slice_str(text));
	fputc('\n', stderr);
	return code;
}

const char *words_time(uint64_t seconds, char text[TIME_TEXT_SIZE])
{
	static const size_t minutes_end = sizeof("2026-11-24T06:04") - 1;
	_Static_assert((int)TIME_TEXT_SIZE >= (int)CLOCK_TEXT_SIZE, "clock writes there");
	if (seconds > INT32_MAX * UINT64_C(100)) {
		snprintf(text, TIME_TEXT_SIZE, "?");
		return text;
	}
	clock_format_local(seconds * CLOCK_SECOND, text);
	text[slice_find(slice_str(text), 'T')] = ' ';
	text[minutes_end] = '\0';
	return text;
}

static void duration(uint64_t seconds, char *text, size_t size)
{
	if (seconds < 60)
		snprintf(text, size, "%" PRIu64 "s", seconds);
	else if (seconds < 60 * 60)
		snprintf(text, size, "%" PRIu64 "m", seconds / 60);
	else if (seconds < 48 * 60 * 60)
		snprintf(text, size, "%" PRIu64 "h", seconds / (60 * 60));
	else
		snprintf(text, size, "%" PRIu64 "d", seconds / (24 * 60 * 60));
}

const char *words_until(uint64_t now, uint64_t then, char text[TIME_TEXT_SIZE])
{
	char length[TIME_TEXT_SIZE - 8];
	duration(then > now ? then - now : now - then, length, sizeof(length));
	if (then == now)
		snprintf(text, TIME_TEXT_SIZE, "now");
	else if (then > now)
		snprintf(text, TIME_TEXT_SIZE, "in %s", length);
	else
		snprintf(text, TIME_TEXT_SIZE, "%s ago", length);
	return text;
}

const char *words_size(uint64_t octets, char text[SIZE_TEXT_SIZE])
{
	static const char units[] = " KMGTPE";
	uint64_t tenths = octets * 10;
	size_t unit = 0;
	if (octets > UINT64_MAX / 10) {
		snprintf(text, SIZE_TEXT_SIZE, "huge");
		return text;
	}
	for (; tenths >= 10240; tenths /= 1024)
		unit++;
	if (unit == 0)
		snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64, octets);
	else if (tenths < 100)
		snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			 tenths % 10, units[unit]);
	else
		snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return text;
}

const char *words_plural(uint64_t count)
{
	return count == 1 ? "message" : "messages";
}
