/*
 * kind_static: the entries stand in the spec, KEY or KEY=VALUE, separated by commas. For a few
 * names that need no file.
 */
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/table/kind.h"
#include "common/table/reader.h"

static const char *add_entry(struct table *t, struct slice entry)
{
	struct slice name, text, item, unsupported = SLICE_EMPTY;
	struct buffer key, value;
	slice_split(entry, '=', &name, &text);
	buffer_init(&key, TABLE_SPEC_MAX);
	buffer_init(&value, TABLE_SPEC_MAX);
	const char *fault = reader_key(slice_trim(name), t->use == TABLE_ALIASES, &key);
	if (!fault && t->use == TABLE_ALIASES)
		fault = alias_items(text, ' ', &value, &item, &unsupported);
	else if (!fault && !buffer_append(&value, slice_trim(text)))
		fault = "the value is too long";
	if (!fault && unsupported.len > 0)
		fault = "commands, files and :include: are not supported";
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
    .lookup = table_content_lookup,
};
