/*
 * log: a line is built in place, in the struct the caller holds; no memory is taken. The mark
 * " cut=yes" always has its room kept free, so a pair either fits whole or ends the line. A line
 * whose level is not wanted has length 0 from its start on, and nothing is done for it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/queue_id.h"

static const char cut_mark[] = " cut=yes";

enum {
	CUT_MARK_LEN = sizeof(cut_mark) - 1,
	LINE_ROOM = LOG_LINE_MAX - CUT_MARK_LEN, /* what pairs may fill */
	SAFE_TEXT_LEN = 480,			 /* fits even if every octet needs \xHH */
};

/* Both are set once, before a program has threads. */
static log_sink *current_sink;
static int current_least = LOG_LEVEL_ERROR + 1;

/* What an octet needs: nothing, quotes, or quotes and an escape. */
enum { BARE, QUOTED, ESCAPED };
static const uint8_t needs[256] = {
    [0x00 ... 0x1f] = ESCAPED, [' '] = QUOTED, ['"'] = ESCAPED, ['='] = QUOTED, [0x5c] = ESCAPED,
    [0x7f ... 0xff] = ESCAPED,
};

void log_set_sink(log_sink *sink, enum log_level least)
{
	current_sink = sink;
	current_least = sink ? (int)least : LOG_LEVEL_ERROR + 1;
}

bool log_has_sink(void)
{
	return current_sink != NULL;
}

/* Appends what our own code names: a key or an event. */
static bool put(struct log_line *l, const char *str, size_t len)
{
	if (len > LINE_ROOM - l->len) {
		l->cut = true;
		return false;
	}
	memcpy(l->text + l->len, str, len);
	l->len += len;
	return true;
}

void log_start(struct log_line *l, enum log_level level, uint64_t qid, const char *event)
{
	char id[QUEUE_ID_LEN + 1] = "-";
	l->level = level;
	l->len = 0;
	l->cut = false;
	if ((int)level < current_least)
		return;
	if (qid != 0)
		queue_id_text(qid, id);
	put(l, id, strlen(id));
	put(l, " ", 1);
	put(l, event, strlen(event));
}

/* Writes one octet or character of value to dst (room for 4); *taken is how many it was. */
static size_t escape(struct slice value, char *dst, size_t *taken)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t c = (uint8_t)value.ptr[0];
	*taken = 1;
	if (needs[c] != ESCAPED) {
		dst[0] = (char)c;
		return 1;
	}
	if (c == '"' || c == '\\') {
		dst[0] = '\\';
		dst[1] = (char)c;
		return 2;
	}
	size_t len = c >= 0x80 ? utf8_length(value) : 0;
	if (len > 0 && !utf8_steers(value.ptr, len)) {
		memcpy(dst, value.ptr, len);
		*taken = len;
		return len;
	}
	memcpy(dst, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
	return 4;
}

static bool put_quoted(struct log_line *l, struct slice value)
{
	char octet[4];
	size_t taken;
	if (!put(l, "\"", 1))
		return false;
	for (size_t at = 0; at < value.len; at += taken) {
		size_t len = escape(slice_from(value, at), octet, &taken);
		if (!put(l, octet, len))
			return false;
	}
	return put(l, "\"", 1);
}

void log_pair(struct log_line *l, const char *key, struct slice value)
{
	size_t before = l->len, key_len = strlen(key), bare = 0;
	if (before == 0 || l->cut)
		return;
	if (value.len > LOG_LINE_MAX) {
		l->cut = true;
		return;
	}
	while (bare < value.len && needs[(uint8_t)value.ptr[bare]] == BARE)
		bare++;
	bool fits = put(l, " ", 1) && put(l, key, key_len) && put(l, "=", 1);
	if (fits && bare < value.len)
		fits = put_quoted(l, value);
	else if (fits && value.len > 0)
		fits = put(l, value.ptr, value.len);
	if (!fits)
		l->len = before;
}

void log_text(struct log_line *l, const char *key, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	if (l->len == 0 || l->cut)
		return;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		l->cut = true;
	else
		log_pair(l, key, slice_make(text, (size_t)n));
}

void log_number(struct log_line *l, const char *key, uint64_t value)
{
	char digits[DECIMAL_MAX];
	if (l->len > 0)
		log_pair(l, key, slice_make(digits, decimal_write(value, digits)));
}

void log_end(struct log_line *l)
{
	if (l->len == 0 || !current_sink)
		return;
	if (l->cut) {
		memcpy(l->text + l->len, cut_mark, CUT_MARK_LEN);
		l->len += CUT_MARK_LEN;
	}
	current_sink(l->level, slice_make(l->text, l->len));
}

void log_sentence(enum log_level level, const char *event, const char *text)
{
	struct log_line l;
	struct slice s = slice_str(text);
	log_start(&l, level, 0, event);
	log_pair(&l, "text", s);
	if (l.cut) {
		l.cut = false;
		log_pair(&l, "text", slice_sub(s, 0, SAFE_TEXT_LEN));
		l.cut = true;
	}
	log_end(&l);
}

static void notice(enum log_level level, const char *format, va_list ap)
{
	char text[LOG_LINE_MAX];
	if ((int)level < current_least)
		return;
	vsnprintf(text, sizeof(text), format, ap);
	log_sentence(level, "notice", text);
}

void log_info(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	notice(LOG_LEVEL_INFO, format, ap);
	va_end(ap);
}

void log_warning(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	notice(LOG_LEVEL_WARNING, format, ap);
	va_end(ap);
}

void log_error(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	notice(LOG_LEVEL_ERROR, format, ap);
	va_end(ap);
}
