/*
 * A table of users, and a plain one: what loads can be looked up, and its values can be read.
 */
#include <stdlib.h>

#include "common/table/table.h"

static void read_value(void *arg, enum table_result result, struct slice value)
{
	struct table_user user;
	size_t *found = arg;
	if (result != TABLE_FOUND)
		return;
	++*found;
	table_user_read(value, &user);
	if (user.password.len + user.uid.len + user.gid.len + user.home.len + user.extra.len >
	    value.len)
		abort();
}

static void plain_value(void *arg, enum table_result result, struct slice value)
{
	if (result == TABLE_FOUND && slice_find(value, '\n') < value.len)
		abort();
	*(size_t *)arg += result == TABLE_FOUND;
}

/* The simplest table: a key, and what stands behind it. */
static void plain(struct slice text)
{
	struct table *t;
	struct error e = {0};
	struct slice line;
	char folded[256];
	size_t found = 0;
	if (!table_open("file:/t", TABLE_PLAIN, &t, &e))
		abort();
	bool good = table_load_text(t, text, NULL, NULL, &e);
	if (good != (e.text[0] == '\0'))
		abort();
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		struct slice word = slice_word(&line);
		if (word.len > sizeof(folded))
			continue;
		slice_lower(word, folded);
		table_lookup(t, slice_make(folded, word.len), plain_value, &found);
	}
	if (!good && found > 0)
		abort();
	table_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *t;
	struct error e = {0};
	struct slice text = slice_make(data, size), line, name, rest;
	size_t found = 0;
	char folded[256];
	if (!table_open("file:/t", TABLE_USERS, &t, &e))
		abort();
	bool good = table_load_text(t, text, NULL, NULL, &e);
	if (good != (e.text[0] == '\0'))
		abort();
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		slice_split(line, ':', &name, &rest);
		name = slice_trim(name);
		if (name.len > sizeof(folded))
			continue;
		slice_lower(name, folded);
		table_lookup(t, slice_make(folded, name.len), read_value, &found);
	}
	if (!good && found > 0)
		abort();
	table_free(&t);
	plain(slice_make(data, size));
	return 0;
}
