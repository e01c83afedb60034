/*
 * aliases: the format of /etc/aliases, `NAME: target, target`. A name or a target may be "quoted",
 * a line that begins with a blank goes on with the one before. Targets that are no addresses (a
 * command, a file, an :include:) are kept as what they are, with a warning: who asks for that
 * alias must know that there is more than it can deliver.
 */
#include "common/base/buffer.h"
#include "common/mail/address.h"
#include "common/table/reader.h"

/* How an item stands in a value: the letter of its kind, its text, a newline. */
static const char ITEM_LETTERS[] = {
    [TABLE_ALIAS_ADDRESS] = 'a',
    [TABLE_ALIAS_COMMAND] = 'c',
    [TABLE_ALIAS_FILE] = 'f',
    [TABLE_ALIAS_INCLUDE] = 'i',
};
static const struct slice INCLUDE = {":include:", 9};

bool table_alias_next(struct slice *value, struct table_alias *item)
{
	struct slice text;
	if (value->len == 0)
		return false;
	slice_split(*value, '\n', &text, value);
	for (size_t k = 0; k < sizeof(ITEM_LETTERS); k++) {
		if (text.len > 0 && text.ptr[0] == ITEM_LETTERS[k]) {
			item->kind = (enum table_alias_kind)k;
			item->text = slice_from(text, 1);
			return true;
		}
	}
	return false;
}

/* Octets before the first `end` outside quotes; s.len: there is none. */
static size_t find_outside_quotes(struct slice s, char end)
{
	bool quoted = false;
	for (size_t i = 0; i < s.len; i++) {
		if (quoted && s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '"')
			quoted = !quoted;
		else if (!quoted && s.ptr[i] == end)
			return i;
	}
	return s.len;
}

/* What stands between the quotes when they are around all of s, else s. */
static struct slice inside_quotes(struct slice s)
{
	if (s.len < 2 || s.ptr[0] != '"')
		return s;
	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '"')
			return i == s.len - 1 ? slice_sub(s, 1, s.len - 2) : s;
	}
	return s;
}

static bool append_item(struct buffer *value, enum table_alias_kind kind, struct slice text)
{
	return buffer_byte(value, ITEM_LETTERS[kind]) && buffer_append(value, text) &&
	       buffer_byte(value, '\n');
}

static const char *append_address(struct slice item, struct buffer *value)
{
	struct address a;
	char text[ADDRESS_SIZE];
	/* sendmail's \name, "no further": a name that is an alias of itself does the same. */
	if (item.len > 1 && item.ptr[0] == '\\')
		item = slice_from(item, 1);
	enum address_fault fault = address_parse(item, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a);
	if (fault != ADDRESS_FINE)
		return address_fault_text(fault);
	return append_item(value, TABLE_ALIAS_ADDRESS, address_text(&a, text))
		   ? NULL
		   : "the line is too long";
}

static const char *alias_item(struct slice item, struct buffer *value, struct slice *unsupported)
{
	struct slice text = inside_quotes(item);
	enum table_alias_kind kind = TABLE_ALIAS_ADDRESS;
	size_t prefix = 0;
	if (slice_starts(text, SLICE("|"))) {
		kind = TABLE_ALIAS_COMMAND;
		prefix = 1;
	} else if (slice_starts(text, SLICE("/"))) {
		kind = TABLE_ALIAS_FILE;
	} else if (slice_starts_fold(text, INCLUDE)) {
		kind = TABLE_ALIAS_INCLUDE;
		prefix = INCLUDE.len;
	}
	if (kind == TABLE_ALIAS_ADDRESS)
		return append_address(item, value);
	*unsupported = item;
	text = slice_from(text, prefix);
	return append_item(value, kind, text) ? NULL : "the line is too long";
}

const char *alias_items(struct slice text, char separator, struct buffer *value, struct slice *item,
			struct slice *unsupported)
{
	size_t before = value->len;
	while (text.len > 0) {
		size_t end = find_outside_quotes(text, separator);
		*item = slice_trim(slice_sub(text, 0, end));
		text = slice_from(text, end < text.len ? end + 1 : end);
		if (item->len == 0)
			continue; /* `a, b,` and `a,, b` are common and harmless */
		const char *fault = alias_item(*item, value, unsupported);
		if (fault)
			return fault;
	}
	*item = SLICE_EMPTY;
	return value->len > before ? NULL : "there is no target behind the colon";
}

static void add_alias(struct reader *r, unsigned line, struct slice text, struct buffer *key,
		      struct buffer *value)
{
	size_t colon = find_outside_quotes(text, ':');
	struct slice name = slice_trim(slice_sub(text, 0, colon));
	struct slice item, unsupported = SLICE_EMPTY;
	if (colon == text.len) {
		reader_bad(r, line, "there is no colon behind the name (NAME: target, target)");
		return;
	}
	const char *fault = reader_key(name, true, key);
	if (fault) {
		reader_bad(r, line, "`%.*s`: %s", SLICE_FMT(slice_sub(name, 0, 80)), fault);
		return;
	}
	fault = alias_items(slice_from(text, colon + 1), ',', value, &item, &unsupported);
	if (fault && item.len > 0)
		reader_bad(r, line, "target `%.*s`: %s", SLICE_FMT(slice_sub(item, 0, 80)), fault);
	else if (fault)
		reader_bad(r, line, "%s", fault);
	else
		reader_add(r, line, buffer_slice(key), buffer_slice(value));
	if (!fault && unsupported.len > 0)
		reader_warn(
		    r, line,
		    "%.*s: target `%.*s` is not supported (no commands, files or :include:); "
		    "mail for this alias is put off",
		    SLICE_FMT(buffer_slice(key)), SLICE_FMT(slice_sub(unsupported, 0, 80)));
}

/* Gathers a line and what continues it; false when that is too long. */
static bool join_lines(struct reader *r, struct slice line, struct buffer *joined)
{
	bool fits = buffer_append(joined, line);
	while (reader_continues(r) && reader_line(r, &line))
		fits = fits && buffer_byte(joined, ' ') && buffer_append(joined, line);
	return fits;
}

void read_aliases(struct reader *r)
{
	struct buffer joined, key, value;
	struct slice line;
	buffer_init(&joined, TABLE_LINE_MAX);
	buffer_init(&key, TABLE_LINE_MAX);
	buffer_init(&value, TABLE_LINE_MAX);
	while (reader_line(r, &line)) {
		unsigned number = r->line;
		buffer_reset(&joined);
		buffer_reset(&key);
		buffer_reset(&value);
		if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
			reader_bad(r, number,
				   "the line begins with a blank, but continues nothing");
		else if (!reader_continues(r))
			add_alias(r, number, line, &key, &value);
		else if (join_lines(r, line, &joined))
			add_alias(r, number, buffer_slice(&joined), &key, &value);
		else
			reader_bad(r, number, "the alias is longer than %d octets", TABLE_LINE_MAX);
	}
	buffer_free(&joined);
	buffer_free(&key);
	buffer_free(&value);
}
