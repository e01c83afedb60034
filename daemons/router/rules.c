/*
 * A set of settings arrives record by record. The book that it becomes takes the place of the old
 * one when it is complete; questions under way keep theirs.
 */
#include "daemons/router/rules.h"

static struct book *current, *fresh;

void rules_begin(void)
{
	book_release(&fresh);
	fresh = book_new();
}

void rules_setting(const struct record *record, const void *value)
{
	book_setting(fresh, record, value);
}

void rules_end(void)
{
	book_release(&current);
	current = fresh;
	fresh = NULL;
}

struct book *rules_book(void)
{
	return current;
}
