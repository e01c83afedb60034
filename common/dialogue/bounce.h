/*
 * bounce: the queue manager tells what became of a message's recipients, bounce makes the delivery
 * status notification (RFC 3461, 3464) and commits it as any writer does. So the words of writer
 * are a part of this conversation, with the same numbers.
 *
 * The notice of the committed notification names parent and mark (writer.h). It enters the queue in
 * the same ledger frame in which the parent's recipients are told; when the parent has no such
 * recipients any more, or others, it is refused: so a crash makes no second notification.
 */
#ifndef COMMON_DIALOGUE_BOUNCE_H
#define COMMON_DIALOGUE_BOUNCE_H

#include "common/dialogue/job.h"
#include "common/dialogue/writer.h"

enum bounce_kind {
	BOUNCE_TO_SENDER = 1,
	BOUNCE_TO_POSTMASTER, /* the message had the null sender: nobody else can be told */
};
enum bounce_action { /* RFC 3464 2.3.3 */
		     BOUNCE_FAILED = 1,
		     BOUNCE_DELIVERED,
		     BOUNCE_RELAYED, /* to a server that gives no notices */
		     BOUNCE_EXPANDED,
};

/* manager -> bounce: BOUNCE_START, a BOUNCE_RECIPIENT for each, BOUNCE_END. */
#define BOUNCE_START_FIELDS(F, S)                                                   \
	F(S, u64, request, 0, "repeated in the answer")                             \
	F(S, u64, parent, 0, "queue id of the message that is reported on")         \
	F(S, u32, mark, 0, "of the recipients that are told; goes into the record") \
	F(S, u32, kind, BOUNCE_TO_POSTMASTER, "enum bounce_kind")                   \
	F(S, string, to, 320, "who is told")                                        \
	F(S, string, sender, 320, "reverse-path of the message")                    \
	F(S, u64, arrived, 0, "wall clock, microseconds")                           \
	F(S, u64, size, 0, "octets of header and body")                             \
	F(S, u32, flags, 15, "enum job_flag")                                       \
	F(S, string, envid, ENVID_MAX, "xtext; empty: none")                        \
	F(S, u32, content, 255, "content_flags_pack()")                             \
	F(S, u32, recipients, 0, "BOUNCE_RECIPIENT that follow")                    \
	JOB_CONTENT_FIELDS(F, S)
RECORD_DECLARE(bounce_start, BOUNCE_START_FIELDS)
#define BOUNCE_RECIPIENT_FIELDS(F, S)                                      \
	F(S, u64, request, 0, "of the start")                              \
	F(S, string, address, 320, "final address")                        \
	F(S, string, original, 320, "recipient as received")               \
	F(S, string, orcpt, ORCPT_MAX, "xtext with its type; empty: none") \
	F(S, u32, action, BOUNCE_EXPANDED, "enum bounce_action")           \
	F(S, u32, code, 599, "of the reply")                               \
	F(S, string, enhanced, 12, "status, RFC 3463")                     \
	F(S, string, text, JOB_TEXT_MAX, "of the reply")                   \
	F(S, string, relay, JOB_RELAY_MAX, "who said it; empty: we did")
RECORD_DECLARE(bounce_recipient, BOUNCE_RECIPIENT_FIELDS)
#define BOUNCE_END_FIELDS(F, S) F(S, u64, request, 0, "of the start")
RECORD_DECLARE(bounce_end, BOUNCE_END_FIELDS)
/* bounce -> manager, after the writer's notice: the notification is durable, or could not be made
 * now. spoiled: the content is not what was committed. */
#define BOUNCE_DONE_FIELDS(F, S)                                      \
	F(S, u64, request, 0, "of the start")                         \
	F(S, u64, id, 0, "queue id of the notification; 0: not made") \
	F(S, bool, spoiled, 0, "the parent's content is damaged")     \
	F(S, string, text, JOB_TEXT_MAX, "why it was not made")
RECORD_DECLARE(bounce_done, BOUNCE_DONE_FIELDS)

#define BOUNCE_OWN_MESSAGES(M)                    \
	M(BOUNCE_START, 32, bounce_start)         \
	M(BOUNCE_RECIPIENT, 33, bounce_recipient) \
	M(BOUNCE_END, 34, bounce_end)             \
	M(BOUNCE_DONE, 35, bounce_done)
#define BOUNCE_MESSAGES(M) WRITER_MESSAGES(M) BOUNCE_OWN_MESSAGES(M)
DIALOGUE_NUMBERS(BOUNCE_OWN_MESSAGES)
extern const struct dialogue bounce_dialogue;

#endif
