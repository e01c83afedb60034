/*
 * A line as a JSON object (RFC 8259). Every value is a string but time, pid and what is a number by
 * its form; octets that are no UTF-8 show as "?".
 */
#include <inttypes.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/os/clock.h"
#include "daemons/log/event.h"
#include "daemons/log/style.h"

enum { JSON_MAX = 8 * LOG_LINE_MAX };

/* "0" or digits that do not begin with 0, short enough for any reader's numbers (2^53). */
static bool is_number(struct slice s)
{
	uint64_t n;
	enum { DIGITS_SAFE = 15 };
	return s.len > 0 && s.len <= DIGITS_SAFE && (s.len == 1 || s.ptr[0] != '0') &&
	       slice_number(s, UINT64_MAX, &n);
}

static void put_octet(struct buffer *b, char c)
{
	uint8_t octet = (uint8_t)c;
	if (c == '"' || c == '\\')
		buffer_printf(b, "\\%c", c);
	else if (octet < ' ' || octet == 0x7f)
		buffer_printf(b, "\\u%04x", octet);
	else
		buffer_byte(b, c);
}

static void put_string(struct buffer *b, struct slice s)
{
	bool utf8 = utf8_valid(s);
	buffer_byte(b, '"');
	for (size_t i = 0; i < s.len; i++)
		put_octet(b, !utf8 && (s.ptr[i] & 0x80) ? '?' : s.ptr[i]);
	buffer_byte(b, '"');
}

/* A reader may take the first or the last of two names that are alike, so none are (RFC 8259 4):
 * one that is there already gets a _ behind it. Else the process that wrote the line could say anew
 * what we know of it. */
static void put_name(struct buffer *b, struct slice key)
{
	size_t at = b->len;
	put_string(b, key);
	buffer_byte(b, ':');
	/* within a string each " has a \ before it: only a name is found so */
	while (memmem(b->data, at, b->data + at, b->len - at)) {
		buffer_truncate(b, b->len - 2);
		if (!buffer_append(b, SLICE("_\":")))
			return;
	}
}

static void put_pair(struct buffer *b, struct slice key, struct slice value)
{
	buffer_byte(b, ',');
	put_name(b, key);
	if (is_number(value))
		buffer_append(b, value);
	else
		put_string(b, value);
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {"debug", "info", "warning", "error"};
	return level <= LOG_LEVEL_ERROR ? names[level] : "error";
}

bool json_write(const struct log_entry *entry, struct slice role, pid_t pid, style_line *line,
		void *arg)
{
	char when[CLOCK_TEXT_SIZE];
	struct event e;
	struct buffer b;
	bool good;
	buffer_init(&b, JSON_MAX);
	clock_format_local(entry->wall_us, when);
	buffer_printf(&b, "{\"time\":\"%s\",\"role\":", when);
	put_string(&b, role);
	buffer_printf(&b, ",\"pid\":%d,\"level\":\"%s\"", (int)pid, level_name(entry->level));
	if (event_read(entry->text, &e)) {
		if (!slice_equal(e.id, SLICE("-")))
			put_pair(&b, SLICE("id"), e.id);
		put_pair(&b, SLICE("event"), e.name);
		for (size_t i = 0; i < e.count; i++)
			put_pair(&b, e.pairs[i].key, e.pairs[i].value);
	} else {
		put_pair(&b, SLICE("text"), entry->text);
	}
	good = buffer_byte(&b, '}') && line(arg, role, buffer_slice(&b));
	buffer_free(&b);
	return good;
}
