/*
 * event: a log line taken apart: queue id, name of the event, pairs.
 */
#ifndef DAEMONS_LOG_EVENT_H
#define DAEMONS_LOG_EVENT_H

#include "common/base/log.h"

enum { EVENT_PAIRS_MAX = 64 };

struct event {
	struct slice id; /* "-": it is about no message */
	struct slice name;
	struct {
		struct slice key, value;
	} pairs[EVENT_PAIRS_MAX];
	size_t count;
	char memory[LOG_LINE_MAX + EVENT_PAIRS_MAX +
		    2]; /* of id, name and the values; each with a NUL */
};

/* False: no line that common/base/log.h would have written. Keys point into line. */
bool event_read(struct slice line, struct event *e);
/* The value of a key; ptr NULL: it has none. */
struct slice event_value(const struct event *e, const char *key);
bool event_is(const struct event *e, const char *name);

#endif
