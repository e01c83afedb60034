/*
 * tickets: what seals session tickets (RFC 5077, RFC 8446 4.6.1), for each service its own, so that
 * a session of one is never resumed at another. They live in this process and those of the service
 * alone: after a death of this one old tickets open no more, and handshakes are whole ones.
 */
#ifndef DAEMONS_KEYS_TICKETS_H
#define DAEMONS_KEYS_TICKETS_H

#include "common/dialogue/keys.h"

#define TICKETS_TURN_US UINT64_C(43200000000) /* a key seals for 12 h, and opens for 12 h more */

enum tickets_service { TICKETS_SMTPD, TICKETS_SUBMISSION, TICKETS_POP3D, TICKETS_SERVICES };

/* Makes the first ones; changed() is called after each change of all. */
void tickets_start(void (*changed)(void));
/* The time of the ones that seal is over: what the timer calls. */
void tickets_turn(void);
/* Slices that live until the next change. */
struct keys_tickets tickets_of(enum tickets_service service);

#endif
