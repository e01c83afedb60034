/*
 * kind_file: a text file. Whoever may open it (the master) passes a descriptor; content is read
 * whole, checked whole, and only then takes the place of the old.
 */
#include <sysexits.h>

#include "common/table/kind.h"

static bool file_open(struct table *t, struct error *e)
{
	if (t->rest[0] == '\0')
		return error_set(e, EX_CONFIG, "file: what is the path? (file:PATH)");
	return true;
}

const struct table_kind table_kind_file = {
    .name = "file",
    .has_file = true,
    .open = file_open,
    .loaded = table_content_loaded,
    .count = table_content_count,
    .lookup = table_content_lookup,
    .free = table_content_free,
};
