/*
 * JSON by jansson: strings made valid before, DEL escaped after, since jansson lets it pass.
 */
#include "commands/stagepost/json.h"

#include "common/base/buffer.h"
#include "common/base/encode.h"
#include "common/base/error.h"

enum { GROWTH = 3 }; /* U+FFFD has three octets */

static json_t *there(json_t *value)
{
	if (!value)
		fatal("no memory for JSON");
	return value;
}

json_t *json_text(struct slice s)
{
	json_t *value = json_stringn(s.ptr ? s.ptr : "", s.len);
	struct buffer b;
	if (value)
		return value;
	buffer_init(&b, s.len * GROWTH);
	while (s.len > 0) {
		size_t len = utf8_length(s);
		buffer_append(&b, len ? slice_sub(s, 0, len) : SLICE("\xef\xbf\xbd"));
		s = slice_from(s, len ? len : 1);
	}
	value = json_stringn(buffer_slice(&b).ptr, buffer_slice(&b).len);
	buffer_free(&b);
	return there(value);
}

json_t *json_count(uint64_t number)
{
	return there(json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		fatal("no memory for JSON");
}

/* DEL occurs in strings alone. */
static int write_part(const char *text, size_t size, void *to)
{
	struct slice rest = slice_make(text, size);
	while (rest.len > 0) {
		size_t len = slice_find(rest, '\x7f');
		fwrite(rest.ptr, 1, len, to);
		if (len < rest.len)
			fputs("\\u007f", to);
		rest = slice_from(rest, len + 1);
	}
	return 0;
}

void json_line(FILE *to, json_t *value)
{
	if (json_dump_callback(value, write_part, to, JSON_ENSURE_ASCII | JSON_ENCODE_ANY) != 0)
		fatal("JSON can't be written");
	fputc('\n', to);
	json_decref(value);
}
