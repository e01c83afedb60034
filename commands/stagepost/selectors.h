/*
 * selectors: which messages of the queue a verb is about.
 */
#ifndef COMMANDS_STAGEPOST_SELECTORS_H
#define COMMANDS_STAGEPOST_SELECTORS_H

#include "common/base/error.h"
#include "common/dialogue/queue.h"

/* What a verb takes. */
enum selectors_use {
	SELECTORS_MAY,	/* nothing said: all */
	SELECTORS_MUST, /* something must be said, if only --all */
	SELECTORS_NONE,
};

struct selectors {
	struct queue_ask ask; /* without request, verb and id; its slices point into argv */
	uint64_t *ids;	      /* each is a question of its own */
	size_t id_count;
	bool json;
	bool mailq; /* a list as mailq prints it */
};

/* argv[0] is the verb. False with code EX_USAGE. Free in either case. */
bool selectors_parse(struct selectors *s, enum selectors_use use, int argc, char **argv,
		     struct error *e);
void selectors_free(struct selectors *s);

#endif
