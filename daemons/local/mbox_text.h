/*
 * mbox_text: what a letter is in an mbox file: a line "From SENDER DATE" before it, '>' before
 * every line of it that begins with "From ", a newline at its end and an empty line behind it.
 */
#ifndef DAEMONS_LOCAL_MBOX_TEXT_H
#define DAEMONS_LOCAL_MBOX_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum { MBOX_FROM_SIZE = 512 };

/* The first line. offset: minutes east of UTC. */
struct slice mbox_from_line(struct slice sender, uint64_t wall_us, int offset,
			    char text[MBOX_FROM_SIZE]);

typedef bool mbox_put(void *arg, struct slice octets);

/* Zeroed at first. */
struct mbox_quote {
	bool inside;	  /* a line, behind where "From " would be */
	unsigned matched; /* octets of "From " at the line's start, not yet put */
	bool newline;	  /* the last octet that was put */
};

/* False: put() has failed. Pieces may be cut anywhere. */
bool mbox_quote(struct mbox_quote *q, struct slice octets, mbox_put *put, void *arg);
bool mbox_quote_end(struct mbox_quote *q, mbox_put *put, void *arg);

#endif
