/*
 * log_read: takes a log line apart again. It is strict: what log.c would not have written is no
 * pair, so a line that some other program wrote is not misunderstood.
 */
#include "common/base/encode.h"
#include "common/base/log.h"

static bool is_bare(char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

static size_t bare_length(struct slice s)
{
	size_t len = 0;
	while (len < s.len && is_bare(s.ptr[len]))
		len++;
	return len;
}

/* One octet of a quoted value; *taken is how long it is in the line, 0: it is wrong. */
static char unescape(struct slice s, size_t *taken)
{
	char octet;
	size_t len;
	*taken = 0;
	if ((uint8_t)s.ptr[0] < ' ' || s.ptr[0] == 0x7f)
		return 0;
	if (s.ptr[0] != '\\') {
		*taken = 1;
		return s.ptr[0];
	}
	if (s.len >= 2 && (s.ptr[1] == '"' || s.ptr[1] == '\\')) {
		*taken = 2;
		return s.ptr[1];
	}
	if (s.len >= 4 && s.ptr[1] == 'x' && hex_decode(slice_sub(s, 2, 2), &octet, 1, &len)) {
		*taken = 4;
		return octet;
	}
	return 0;
}

/* s begins behind the opening quote; *used gets its length with the closing one. */
static bool read_quoted(struct slice s, char *value, size_t size, size_t *len, size_t *used)
{
	size_t at = 0, n = 0, taken;
	for (; at < s.len && s.ptr[at] != '"'; at += taken) {
		char octet = unescape(slice_from(s, at), &taken);
		if (taken == 0 || n + 1 >= size)
			return false;
		value[n++] = octet;
	}
	if (at == s.len || size == 0)
		return false;
	value[n] = '\0';
	*len = n;
	*used = at + 1;
	return true;
}

static bool read_bare(struct slice s, char *value, size_t size, size_t *len)
{
	size_t n = bare_length(s);
	if (!slice_copy(slice_sub(s, 0, n), value, size))
		return false;
	*len = n;
	return true;
}

bool log_read_pair(struct slice *line, struct slice *key, char *value, size_t size, size_t *len)
{
	struct slice rest = *line;
	size_t used;
	while (rest.len > 0 && rest.ptr[0] == ' ')
		rest = slice_from(rest, 1);
	if (rest.len == 0) {
		*line = rest;
		return false;
	}
	size_t word = bare_length(rest);
	if (word == 0)
		return false;
	*key = slice_sub(rest, 0, 0);
	if (word < rest.len && rest.ptr[word] == '=') {
		*key = slice_sub(rest, 0, word);
		rest = slice_from(rest, word + 1);
	}
	if (key->len > 0 && rest.len > 0 && rest.ptr[0] == '"') {
		if (!read_quoted(slice_from(rest, 1), value, size, len, &used))
			return false;
		used++;
	} else {
		if (!read_bare(rest, value, size, len))
			return false;
		used = *len;
	}
	rest = slice_from(rest, used);
	if (rest.len > 0 && rest.ptr[0] != ' ')
		return false;
	*line = rest;
	return true;
}
