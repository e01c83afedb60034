/*
 * kind_static: the entries stand in the spec, KEY or KEY=VALUE, separated by commas. For a few
 * names that need no file.
 */
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/table/kind.h"
#include "common/table/reader.h"

static const char *read_value(enum table_use use, struct slice text, struct buffer *value)
{
	struct slice item, unsupported = SLICE_EMPTY;
	if (use == TABLE_ROUTES)
		return route_value(text, value);
	if (use != TABLE_ALIASES)
		return buffer_append(value, slice_trim(text)) ? NULL : "the value is too long";
	const char *fault = alias_items(text, ' ', value, &item, &unsupported);
	if (!fault && unsupported.len > 0)
		fault = "commands, files and :include: are not supported";
	return fault;
}

static const char *add_entry(struct table *t, struct slice entry)
{
	struct slice name, text;
	struct buffer key, value;
	slice_split(entry, '=', &name, &text);
	name = slice_trim(name);
	buffer_init(&key, TABLE_SPEC_MAX);
	buffer_init(&value, TABLE_SPEC_MAX);
	const char *fault = t->use == TABLE_PLAIN ? plain_key(name, &key)
						  : reader_key(name, t->use != TABLE_USERS, &key);
	if (!fault)
		fault = read_value(t->use, text, &value);
	if (!fault &&
	    content_add(t->content, buffer_slice(&key), buffer_slice(&value)) != CONTENT_ADDED)
		fault = "it is there twice";
	buffer_free(&key);
	buffer_free(&value);
	return fault;
}

static bool static_open(struct table *t, struct error *e)
{
	struct slice rest = slice_str(t->rest), entry;
	t->content = content_new();
	while (rest.len > 0) {
		slice_split(rest, ',', &entry, &rest);
		const char *fault = add_entry(t, slice_trim(entry));
		if (fault)
			return error_set(e, EX_CONFIG, "static: entry `%.*s`: %s",
					 SLICE_FMT(slice_sub(entry, 0, 80)), fault);
	}
	return true;
}

const struct table_kind table_kind_static = {
    .name = "static",
    .open = static_open,
    .loaded = table_content_loaded,
    .count = table_content_count,
    .lookup = table_content_lookup,
    .free = table_content_free,
};
