/*
 * askers: the processes that speak TLS, one channel each, and what they ask. Signing takes up to
 * milliseconds of this one process, so each asker has a queue, and they take turns: who is flooded
 * with strangers' handshakes makes no other service wait for all of them.
 */
#ifndef DAEMONS_KEYS_ASKERS_H
#define DAEMONS_KEYS_ASKERS_H

#include "common/service/service.h"

enum {
	ASKER_WAITING_MAX = 1024, /* requests of one asker; a further one is refused */
	SIGNATURES_A_TURN = 4,	  /* then what else has come is looked at */
};
#define ASKERS_TELL_US UINT64_C(60000000) /* between two lines on what no TLS server signs */

/* The queues are worked on at the end of each turn; before the links are opened. */
void askers_start(void);

extern const struct route askers_routes[];
void askers_smtpd_up(struct channel *c, unsigned instance);
void askers_submission_up(struct channel *c, unsigned instance);
void askers_pop3d_up(struct channel *c, unsigned instance);
void askers_down(struct channel *c);
/* Tells all of them that a key is there now, or not any more. */
void askers_present(const unsigned char *name, bool present);

#endif
