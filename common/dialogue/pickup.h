/*
 * pickup: mail that `sendmail` left in the drop directory while nobody listened comes to submission
 * by a session of its own, as if its author had come by the socket for programs: pickup makes a
 * pair of stream sockets, speaks SMTP (RFC 5321) on the one end, and submission serves the other as
 * the user whom the kernel names as the file's owner.
 */
#ifndef COMMON_DIALOGUE_PICKUP_H
#define COMMON_DIALOGUE_PICKUP_H

#include "common/wire/dialogue.h"

/* pickup -> submission. */
#define PICKUP_SESSION_FIELDS(F, S)           \
	F(S, u32, uid, 0, "whose mail it is") \
	F(S, fd, fd, 0, "a stream socket, connected")
RECORD_DECLARE(pickup_session, PICKUP_SESSION_FIELDS)

#define PICKUP_MESSAGES(M) M(PICKUP_SESSION, 1, pickup_session)
DIALOGUE_NUMBERS(PICKUP_MESSAGES)
extern const struct dialogue pickup_dialogue;

#endif
