/*
 * writing: how a process puts mail into the queue: its one writer (queue/store/writer.h), and the
 * talk with the queue manager in which leases and files come in and notices of what is durable go
 * out. smtpd and bounce use it; their conversations with the manager both hold the words of
 * common/dialogue/writer.h.
 *
 * All is called in the loop's thread.
 */
#ifndef QUEUE_WRITING_WRITING_H
#define QUEUE_WRITING_WRITING_H

#include "common/dialogue/writer.h"
#include "common/wire/channel.h"
#include "queue/store/writer.h"

struct writing_calls {
	/* The manager has lent a segment. May be NULL. */
	void (*lent)(void);
	/* A notice of what is durable was sent to the manager, or it is not there now; done() of
	 * those commits was called before. May be NULL. */
	void (*noticed)(void);
};

/* Makes the writer, and so its threads: in a daemon's start(). */
void writing_start(const struct writing_calls *calls);
/* NULL before the start. */
struct writer *writing_writer(void);
/* The manager takes no new mail for now: WRITER_FULL too, for another reason than memory. */
bool writing_full(void);
/* Sends a message to the manager, behind the notices sent so far. False: it is not there. */
bool writing_tell(uint16_t number, const void *record);

/* For the link to the manager: a table of routes begins with WRITING_ROUTES. */
void writing_up(struct channel *c, unsigned instance);
void writing_down(struct channel *c);
void writing_leased(struct channel *c, const void *record);
void writing_filed(struct channel *c, const void *record);
void writing_pressed(struct channel *c, const void *record);
#define WRITING_ROUTES                                         \
	{WRITER_LEASED, ROUTE_ALWAYS, writing_leased},         \
	    {WRITER_FILED, ROUTE_ALWAYS, writing_filed},       \
	{                                                      \
		WRITER_PRESSURE, ROUTE_ALWAYS, writing_pressed \
	}

#endif
