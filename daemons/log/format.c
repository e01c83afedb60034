/*
 * The forms of a line. A control character in a text shows as "?", and so does what is no UTF-8: a
 * line must not become two, nor a terminal do what a stranger says.
 */
#include "daemons/log/format.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/os/clock.h"

enum { FACILITY_MAIL = 2, OLD_TIME_SIZE = 64 };

static void clean(const struct log_entry *entry, char text[FORMAT_LINE_MAX], size_t *len)
{
	struct slice from = slice_sub(entry->text, 0, FORMAT_LINE_MAX);
	size_t taken;
	*len = 0;
	for (; from.len > 0; from = slice_from(from, taken)) {
		unsigned char c = (unsigned char)from.ptr[0];
		size_t whole = utf8_length(from);
		taken = whole > 0 ? whole : 1;
		if (whole == 0 || c < 0x20 || c == 0x7f || utf8_steers(from.ptr, whole)) {
			text[(*len)++] = '?';
			continue;
		}
		memcpy(text + *len, from.ptr, whole);
		*len += whole;
	}
}

bool format_text(struct buffer *b, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry)
{
	char when[CLOCK_TEXT_SIZE], text[FORMAT_LINE_MAX];
	size_t len;
	clock_format_local(entry->wall_us, when);
	clean(entry, text, &len);
	return buffer_printf(b, "%s %s/%.*s[%d]: %.*s\n", when, name, SLICE_FMT(role), (int)pid,
			     (int)len, text);
}

static unsigned severity(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_DEBUG:
		return 7;
	case LOG_LEVEL_INFO:
		return 6;
	case LOG_LEVEL_WARNING:
		return 4;
	case LOG_LEVEL_ERROR:
		break;
	}
	return 3;
}

/* "Nov  4 06:02:03", local time. */
static void old_time(uint64_t wall_us, char text[OLD_TIME_SIZE])
{
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	char when[CLOCK_TEXT_SIZE];
	long month;
	clock_format_local(wall_us, when); /* yyyy-mm-ddThh:mm:ss... */
	month = strtol(when + 5, NULL, 10);
	snprintf(text, OLD_TIME_SIZE, "%s %c%c %.8s",
		 months[month >= 1 && month <= 12 ? month - 1 : 0], when[8] == '0' ? ' ' : when[8],
		 when[9], when + 11);
}

bool format_host(struct buffer *b, const char *host, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry)
{
	char when[OLD_TIME_SIZE], text[FORMAT_LINE_MAX];
	size_t len;
	old_time(entry->wall_us, when);
	clean(entry, text, &len);
	return buffer_printf(b, "%s %s %s/%.*s[%d]: %.*s\n", when, host, name, SLICE_FMT(role),
			     (int)pid, (int)len, text);
}

bool format_bare(struct buffer *b, const struct log_entry *entry)
{
	char text[FORMAT_LINE_MAX];
	size_t len;
	clean(entry, text, &len);
	return buffer_printf(b, "%.*s\n", (int)len, text);
}

bool format_syslog(struct buffer *b, const char *name, struct slice role, pid_t pid,
		   const struct log_entry *entry)
{
	char when[OLD_TIME_SIZE], text[FORMAT_LINE_MAX];
	size_t len;
	old_time(entry->wall_us, when);
	clean(entry, text, &len);
	return buffer_printf(b, "<%u>%s %s/%.*s[%d]: %.*s\n",
			     FACILITY_MAIL * 8 + severity(entry->level), when, name,
			     SLICE_FMT(role), (int)pid, (int)len, text);
}
