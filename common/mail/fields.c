/*
 * fields: the header block as a list of slices. A message has a few dozen fields, so an array that
 * is moved for an insertion at the front is faster and plainer than a linked list.
 */
#include "common/mail/fields.h"

#include "common/base/memory.h"

enum { FIELDS_FIRST = 32 };

void fields_init(struct fields *l)
{
	*l = (struct fields){0};
	arena_init(&l->own, FIELDS_OWN_MAX);
}

void fields_free(struct fields *l)
{
	memory_free(l->list);
	arena_free(&l->own);
	*l = (struct fields){0};
}

static bool fields_insert(struct fields *l, size_t at, struct slice raw, size_t name_len)
{
	if (l->count == FIELDS_MAX || raw.len > HEADER_LIMIT + FIELDS_OWN_MAX - l->octets)
		return false;
	if (l->count == l->size) {
		l->size = l->size > 0 ? l->size * 2 : FIELDS_FIRST;
		l->list = memory_resize(l->list, l->size, sizeof(*l->list));
	}
	memmove(l->list + at + 1, l->list + at, (l->count - at) * sizeof(*l->list));
	l->list[at] = (struct field){.raw = raw, .name_len = name_len};
	l->count++;
	l->octets += raw.len;
	return true;
}

/* prefix + raw + suffix as memory of the list; ptr NULL: no room. */
static struct slice fields_join(struct fields *l, struct slice prefix, struct slice raw,
				struct slice suffix)
{
	size_t len = prefix.len + raw.len + suffix.len;
	char *copy = arena_get(&l->own, len);

	if (copy == NULL)
		return SLICE_EMPTY;
	memcpy(copy, prefix.ptr, prefix.len);
	memcpy(copy + prefix.len, raw.ptr, raw.len);
	memcpy(copy + prefix.len + raw.len, suffix.ptr, suffix.len);
	return slice_make(copy, len);
}

bool fields_read(struct fields *l, struct slice block)
{
	struct header_field f;

	if (block.len > HEADER_LIMIT)
		return false;
	while (header_next(&block, &f)) {
		struct slice raw = f.raw;
		bool whole = slice_ends_fold(raw, SLICE("\r\n"));
		if (f.from_line || !whole)
			raw = fields_join(l, f.from_line ? header_mailbox_line : SLICE(""), raw,
					  whole ? SLICE("") : SLICE("\r\n"));
		if (raw.ptr == NULL || !fields_insert(l, l->count, raw, f.name.len))
			return false;
	}
	return true;
}

static bool fields_add(struct fields *l, size_t at, struct slice raw)
{
	struct header_field f;
	struct slice rest = raw;

	if (!header_next(&rest, &f) || rest.len > 0 || f.from_line ||
	    !slice_ends_fold(raw, SLICE("\r\n")))
		return false;
	raw = fields_join(l, SLICE(""), raw, SLICE(""));
	return raw.ptr != NULL && fields_insert(l, at, raw, f.name.len);
}

bool fields_add_front(struct fields *l, struct slice raw)
{
	return fields_add(l, 0, raw);
}

bool fields_add_back(struct fields *l, struct slice raw)
{
	return fields_add(l, l->count, raw);
}

static bool field_is(const struct field *f, struct slice name)
{
	return slice_equal_fold(slice_sub(f->raw, 0, f->name_len), name);
}

size_t fields_remove(struct fields *l, struct slice name)
{
	size_t kept = 0, removed;

	for (size_t i = 0; i < l->count; i++) {
		if (field_is(&l->list[i], name))
			l->octets -= l->list[i].raw.len;
		else
			l->list[kept++] = l->list[i];
	}
	removed = l->count - kept;
	l->count = kept;
	return removed;
}

const struct field *fields_find(const struct fields *l, struct slice name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (field_is(&l->list[i], name))
			return &l->list[i];
	}
	return NULL;
}

size_t fields_count(const struct fields *l, struct slice name)
{
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++)
		count += field_is(&l->list[i], name);
	return count;
}

bool fields_write(const struct fields *l, struct buffer *out)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!buffer_append(out, l->list[i].raw))
			return false;
	}
	return true;
}
