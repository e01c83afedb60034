/*
 * Names are other programs' too, so nothing is expected of one: what can't be read is not there.
 */
#include "common/mailbox/maildir_name.h"

/* The number that s begins with, which is taken off it; false: there is none. */
static bool take_number(struct slice *s, uint64_t *number)
{
	size_t digits = 0;
	while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9')
		digits++;
	if (!slice_number(slice_sub(*s, 0, digits), UINT64_MAX, number))
		return false;
	*s = slice_from(*s, digits);
	return true;
}

static void read_time(struct slice s, struct maildir_name *n)
{
	if (!take_number(&s, &n->seconds) || !slice_starts(s, SLICE(".M")))
		return;
	s = slice_from(s, 2);
	take_number(&s, &n->microseconds);
}

void maildir_name_read(struct slice name, struct maildir_name *n)
{
	struct slice field, rest;
	*n = (struct maildir_name){.base = slice_sub(name, 0, slice_find(name, ':'))};
	read_time(n->base, n);
	slice_split(n->base, ',', &n->unique, &rest);
	while (rest.len > 0) {
		slice_split(rest, ',', &field, &rest);
		if (slice_starts(field, SLICE("W=")))
			n->sized = slice_number(slice_from(field, 2), INT64_MAX, &n->octets);
		else if (!slice_starts(field, SLICE("S=")))
			n->unique = n->base; /* a comma of another meaning */
	}
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int maildir_name_compare(const struct maildir_name *a, const struct maildir_name *b)
{
	int order = compare(a->seconds, b->seconds);
	if (order == 0)
		order = compare(a->microseconds, b->microseconds);
	return order ? order : slice_compare(a->base, b->base);
}
