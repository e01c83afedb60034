/*
 * A table of routes: what loads has values of one form, which read as next hops and give the same
 * text again.
 */
#include <stdlib.h>

#include "common/table/next_hop.h"
#include "common/table/table.h"

static void read_value(void *arg, enum table_result result, struct slice value)
{
	static const struct slice SMTP = {"smtp:", 5};
	char again[NEXT_HOP_TEXT_MAX + 1];
	struct next_hop hop;
	size_t *found = arg;
	if (result != TABLE_FOUND)
		return;
	++*found;
	if (!slice_starts(value, SMTP) || value.len == SMTP.len)
		return;
	struct slice hops = slice_from(value, SMTP.len), rest = hops;
	if (next_hop_parse(hops, again) || !slice_equal(slice_str(again), hops))
		abort();
	while (rest.len > 0)
		if (!next_hop_next(&rest, &hop) || hop.port == 0 || (hop.literal && hop.mx))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *t;
	struct error e = {0};
	struct slice text = slice_make(data, size), line;
	size_t found = 0;
	char folded[256];
	if (!table_open("file:/t", TABLE_ROUTES, &t, &e))
		abort();
	bool good = table_load_text(t, text, NULL, NULL, &e);
	if (good != (e.text[0] == '\0'))
		abort();
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		struct slice name = slice_word(&line);
		if (name.len > sizeof(folded))
			continue;
		slice_lower(name, folded);
		table_lookup(t, slice_make(folded, name.len), read_value, &found);
	}
	if (!good && found > 0)
		abort();
	table_free(&t);
	return 0;
}
