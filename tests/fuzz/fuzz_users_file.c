/*
 * users_file: a users table as `stagepost user` edits it: of any text, changing an entry changes
 * that line alone, adding one adds a line that is found, removing one leaves all others.
 */
#include "commands/stagepost/users_file.h"
#include "common/base/memory.h"
#include "common/table/table.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1024 * 1024 };

static size_t entries(const struct users_file *f)
{
	struct users_line line;
	size_t count = 0, before = 0;
	for (size_t at = 0; users_file_next(f, &at, &line); count++) {
		must(line.at >= before && line.at + line.len <= at && at <= f->text.len);
		must(line.len <= line.whole && at - line.whole <= line.at);
		before = at;
	}
	return count;
}

static void edit(struct users_file *f, struct slice key)
{
	struct users_line line;
	struct slice before;
	size_t count = entries(f);
	char *copy = memory_get(f->text.len + 1);
	memcpy(copy, f->text.data ? f->text.data : "", f->text.len);
	before = slice_make(copy, f->text.len);
	if (users_file_find(f, key, &line)) {
		struct slice head = slice_sub(before, 0, line.at);
		size_t end = line.at + line.len;
		struct slice tail =
		    slice_from(slice_from(before, end), slice_find(slice_from(before, end), '\n'));
		users_file_set(f, &line, SLICE("{PLAIN}new"));
		must(entries(f) == count && slice_starts(buffer_slice(&f->text), head));
		must(users_file_find(f, key, &line) &&
		     slice_equal(line.password, SLICE("{PLAIN}new")));
		must(slice_ends_fold(buffer_slice(&f->text), tail));
		users_file_remove(f, &line);
		must(entries(f) == count - 1);
	} else {
		users_file_add(f, SLICE("zz-added"), SLICE("{PLAIN}x"));
		must(slice_starts(buffer_slice(&f->text), before));
		must(entries(f) == count + 1);
		must(users_file_find(f, SLICE("zz-added"), &line));
	}
	memory_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), key;
	struct users_file f = {.path = "/t", .directory = -1, .fd = -1};
	char folded[256];
	if (!slice_split(in, '\n', &key, &in) || key.len > sizeof(folded))
		return 0;
	slice_lower(key, folded);
	buffer_init(&f.text, TEXT_MAX);
	must(buffer_append(&f.text, in));
	edit(&f, slice_make(folded, key.len));
	buffer_free(&f.text);
	return 0;
}
