/*
 * Two forms of a line. A control character in a text shows as "?": a line must not become two, nor
 * a terminal do what a stranger says.
 */
#include "daemons/log/format.h"

#include <stdlib.h>

#include "common/os/clock.h"

enum { FACILITY_MAIL = 2 };

static void clean(const struct log_entry *entry, char text[LOG_LINE_MAX], size_t *len)
{
	struct slice from = slice_sub(entry->text, 0, LOG_LINE_MAX);
	for (size_t i = 0; i < from.len; i++) {
		unsigned char c = (unsigned char)from.ptr[i];
		text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	*len = from.len;
}

bool format_text(struct buffer *b, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry)
{
	char when[CLOCK_TEXT_SIZE], text[LOG_LINE_MAX];
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

bool format_syslog(struct buffer *b, const char *name, struct slice role, pid_t pid,
		   const struct log_entry *entry)
{
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	char when[CLOCK_TEXT_SIZE], text[LOG_LINE_MAX];
	size_t len;
	long month;
	clock_format_local(entry->wall_us, when); /* yyyy-mm-ddThh:mm:ss... */
	month = strtol(when + 5, NULL, 10);
	clean(entry, text, &len);
	return buffer_printf(
	    b, "<%u>%s %c%c %.8s %s/%.*s[%d]: %.*s\n", FACILITY_MAIL * 8 + severity(entry->level),
	    months[month >= 1 && month <= 12 ? month - 1 : 0], when[8] == '0' ? ' ' : when[8],
	    when[9], when + 11, name, SLICE_FMT(role), (int)pid, (int)len, text);
}
