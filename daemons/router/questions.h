/*
 * questions: what smtpd, the queue manager and control ask, each a walk.
 */
#ifndef DAEMONS_ROUTER_QUESTIONS_H
#define DAEMONS_ROUTER_QUESTIONS_H

#include "common/service/service.h"

enum {
	QUESTIONS_MAX = 262144,	    /* not answered yet, more than the manager and two smtpd ask at
				       once; above it the answer is: later */
	QUESTIONS_ROUTES_MAX = 256, /* recipients that are followed at once; the others wait */
	QUESTIONS_ADDRESSES_MAX = 40000, /* none is begun while those lead to so many */
	QUESTIONS_STEPS_MAX = 2000,	 /* explained of one address */
};

/* Who asks there is answered as fast as the channel takes it. */
void questions_up(struct channel *c, unsigned instance);
/* The book is another now, of these settings. */
void questions_settings(uint64_t generation);
void questions_down(struct channel *c); /* its questions need no answer any more */
extern const struct route questions_of_smtpd[], questions_of_queue[], questions_of_control[];

#endif
