/*
 * Reading a line back that a daemon has written. Values are unquoted into the event's own memory,
 * which is as large as a line can be.
 */
#include "daemons/log/event.h"

static bool take(struct slice *line, struct event *e, size_t *used, struct slice *key,
		 struct slice *value)
{
	size_t len;
	if (!log_read_pair(line, key, e->memory + *used, sizeof(e->memory) - *used, &len))
		return false;
	*value = slice_make(e->memory + *used, len);
	*used += len + 1;
	return true;
}

bool event_read(struct slice line, struct event *e)
{
	struct slice key;
	size_t used = 0;
	e->count = 0;
	if (!take(&line, e, &used, &key, &e->id) || key.len > 0 ||
	    !take(&line, e, &used, &key, &e->name) || key.len > 0)
		return false;
	while (e->count < EVENT_PAIRS_MAX &&
	       take(&line, e, &used, &e->pairs[e->count].key, &e->pairs[e->count].value))
		e->count++;
	return slice_trim(line).len == 0;
}

struct slice event_value(const struct event *e, const char *key)
{
	for (size_t i = 0; i < e->count; i++)
		if (slice_equal(e->pairs[i].key, slice_str(key)))
			return e->pairs[i].value;
	return (struct slice){NULL, 0};
}

bool event_is(const struct event *e, const char *name)
{
	return slice_equal(e->name, slice_str(name));
}
