/*
 * call: questions with answers over a channel that may die and come back. A question is kept until
 * it is answered; when the peer has been started again, it is asked again over the fresh channel.
 * Question and answer records begin with a u64 named request.
 */
#ifndef COMMON_WIRE_CALL_H
#define COMMON_WIRE_CALL_H

#include "common/wire/channel.h"

struct caller;

/* answer is the decoded record of the answer, or NULL when the time ran out. */
typedef void call_done(void *arg, const void *answer);

struct caller *caller_new(size_t most_pending);
/* For questions that are not asked again, since more belongs to them (dialogue/login.h, usage.h) or
 * they hold a secret, of which no copy is kept: those under way are done with NULL as soon as the
 * channel has died, and without a channel that takes it none is asked (0). */
struct caller *caller_new_once(size_t most_pending);
void caller_free(struct caller **c); /* pending calls end without their done() */
/* The channel to use from now on; unanswered questions are asked again. NULL when it has died:
 * questions wait then. */
void caller_use(struct caller *c, struct channel *channel);
/* Asks. record's first field is filled in here. The number of the call, or 0 (done is not called)
 * when most_pending are waiting. */
uint64_t caller_ask(struct caller *c, uint16_t number, const struct record *record, void *value,
		    uint64_t timeout_us, call_done *done, void *arg);
void caller_cancel(struct caller *c, uint64_t request); /* unknown numbers are fine */
/* Called by the route of the answer: false when nobody waits for it (late answers are normal). */
bool caller_answered(struct caller *c, uint64_t request, const void *answer);
/* The arg of a question under way, for what comes before its answer; NULL: nobody waits for it. */
void *caller_arg(const struct caller *c, uint64_t request);
size_t caller_pending(const struct caller *c);

#endif
