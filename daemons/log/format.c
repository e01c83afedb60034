/*
 * The forms of a line. A control character in a text shows as "?", and so does what is no UTF-8: a
 * line must not become two, nor a terminal do what a stranger says.
 */
#include "daemons/log/format.h"

#include "common/base/encode.h"
#include "common/os/clock.h"
#include "daemons/log/input.h"
#include "daemons/log/output.h"

enum {
	FACILITY_MAIL = 2,
	HEAD_MAX = 256, /* of what stands before the text */
	MICROSECONDS_AT = 20,
};
/* Nobody looks for room while a head is put together: blanks, brackets and a priority are in 16. */
_Static_assert(CLOCK_TEXT_SIZE + OUTPUT_HOST_MAX + OUTPUT_NAME_MAX + INPUT_ROLE_MAX + DECIMAL_MAX +
		       16 <=
		   HEAD_MAX,
	       "a head is never longer");

/* The text of the last second that was asked for: there are thousands of lines in one. */
static struct {
	uint64_t second;
	char text[CLOCK_TEXT_SIZE];
	size_t len;
} last;

/* "2026-11-24T06:02:03.456789+00:00" */
static struct slice time_text(uint64_t wall_us)
{
	uint64_t rest = wall_us % CLOCK_SECOND;
	if (last.len == 0 || last.second != wall_us / CLOCK_SECOND) {
		last.second = wall_us / CLOCK_SECOND;
		last.len = clock_format_local(wall_us, last.text);
	}
	for (size_t i = 6; i-- > 0; rest /= 10)
		last.text[MICROSECONDS_AT + i] = (char)('0' + rest % 10);
	return slice_make(last.text, last.len);
}

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f;
}

/* How long the first character is, and whether it may stand in a line; what is no character is one
 * octet. */
static size_t judge(struct slice s, bool *good)
{
	size_t len = utf8_length(s);
	*good = is_plain(s.ptr[0]) || (len > 1 && !utf8_steers(s.ptr, len));
	return len > 0 ? len : 1;
}

/* Writes no more than text has. */
static size_t clean(struct slice text, char *to)
{
	size_t at = 0, len = 0, taken;
	bool good;
	while (at < text.len) {
		if (is_plain(text.ptr[at])) {
			to[len++] = text.ptr[at++];
			continue;
		}
		taken = judge(slice_from(text, at), &good);
		if (good)
			memcpy(to + len, text.ptr + at, taken);
		else
			to[len] = '?';
		len += good ? taken : 1;
		at += taken;
	}
	return len;
}

/* A line as it is put together; head is bounded by HEAD_MAX. */
struct making {
	char *to;
	size_t len;
};

static void put(struct making *m, struct slice s)
{
	if (s.len > 0)
		memcpy(m->to + m->len, s.ptr, s.len);
	m->len += s.len;
}

/* "NAME/ROLE[PID]: " */
static void put_tag(struct making *m, const char *name, struct slice role, pid_t pid)
{
	put(m, slice_str(name));
	put(m, SLICE("/"));
	put(m, role);
	put(m, SLICE("["));
	m->len += decimal_write((uint64_t)pid, m->to + m->len);
	put(m, SLICE("]: "));
}

/* Room for a line; false: there is none. */
static bool begin(struct buffer *b, const struct log_entry *entry, struct making *m)
{
	size_t room, want = HEAD_MAX + entry->text.len + 1;
	*m = (struct making){.to = buffer_reserve(b, want, &room)};
	return m->to && room >= want;
}

static bool finish(struct buffer *b, const struct log_entry *entry, struct making *m)
{
	m->len += clean(slice_sub(entry->text, 0, FORMAT_LINE_MAX), m->to + m->len);
	m->to[m->len++] = '\n';
	buffer_grew(b, m->len);
	return true;
}

bool format_text(struct buffer *b, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry)
{
	struct making m;
	if (!begin(b, entry, &m))
		return false;
	put(&m, time_text(entry->wall_us));
	put(&m, SLICE(" "));
	put_tag(&m, name, role, pid);
	return finish(b, entry, &m);
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

/* "Nov  4 06:02:03 ", local time. */
static void put_old_time(struct making *m, uint64_t wall_us)
{
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	const char *when = time_text(wall_us).ptr; /* yyyy-mm-ddThh:mm:ss... */
	int month = (when[5] - '0') * 10 + when[6] - '0';
	char day[] = {' ', when[8] == '0' ? ' ' : when[8], when[9], ' '};
	put(m, slice_str(months[month >= 1 && month <= 12 ? month - 1 : 0]));
	put(m, slice_make(day, sizeof(day)));
	put(m, slice_make(when + 11, 8));
	put(m, SLICE(" "));
}

bool format_host(struct buffer *b, const char *host, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry)
{
	struct making m;
	if (!begin(b, entry, &m))
		return false;
	put_old_time(&m, entry->wall_us);
	put(&m, slice_str(host));
	put(&m, SLICE(" "));
	put_tag(&m, name, role, pid);
	return finish(b, entry, &m);
}

bool format_bare(struct buffer *b, const struct log_entry *entry)
{
	struct making m;
	return begin(b, entry, &m) && finish(b, entry, &m);
}

bool format_syslog(struct buffer *b, const char *name, struct slice role, pid_t pid,
		   const struct log_entry *entry)
{
	struct making m;
	if (!begin(b, entry, &m))
		return false;
	put(&m, SLICE("<"));
	m.len += decimal_write(FACILITY_MAIL * 8 + severity(entry->level), m.to + m.len);
	put(&m, SLICE(">"));
	put_old_time(&m, entry->wall_us);
	put_tag(&m, name, role, pid);
	return finish(b, entry, &m);
}
