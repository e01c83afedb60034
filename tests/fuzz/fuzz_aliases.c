/*
 * A table of aliases: what loads can be looked up, and its values can be read.
 */
#include <stdlib.h>

#include "common/table/table.h"

static void read_value(void *arg, enum table_result result, struct slice value)
{
	struct table_alias item;
	size_t items = 0;
	(void)arg;
	if (result != TABLE_FOUND)
		return;
	for (; table_alias_next(&value, &item); items++)
		if (slice_find(item.text, '\n') < item.text.len)
			abort();
	if (items == 0 || value.len > 0)
		abort();
}

/* Every line's first word is asked for, there or not. */
static void ask(struct table *t, struct slice text)
{
	struct slice line, name, target;
	char folded[256];
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		slice_split(line, ':', &name, &target);
		if (name.len > sizeof(folded))
			continue;
		slice_lower(name, folded);
		table_lookup(t, slice_make(folded, name.len), read_value, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *t;
	struct error e = {0};
	struct slice text = slice_make(data, size);
	if (!table_open("file:/t", TABLE_ALIASES, &t, &e))
		abort();
	bool good = table_load_text(t, text, NULL, NULL, &e);
	if (good != (e.text[0] == '\0'))
		abort();
	ask(t, text);
	table_free(&t);
	return 0;
}
