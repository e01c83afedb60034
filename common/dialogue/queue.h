/*
 * queue: what control asks of the queue manager for an administrator.
 */
#ifndef COMMON_DIALOGUE_QUEUE_H
#define COMMON_DIALOGUE_QUEUE_H

#include "common/wire/dialogue.h"

enum queue_verb {
	QUEUE_LIST = 1,
	QUEUE_SHOW,
	QUEUE_HOLD,
	QUEUE_RELEASE, /* held and corrupt ones become queued again, due now */
	QUEUE_RETRY,   /* deferred ones become due now */
	QUEUE_DELETE,
	QUEUE_VERIFY,
	QUEUE_STATUS,
	QUEUE_DESTINATIONS, /* a QUEUE_DESTINATION for each that has mail or is in trouble */
	QUEUE_BOUNCE	    /* what has not ended fails for good now, and its senders are told */
};

/* Which messages; all that is given must hold. id 0 and empty strings: not asked for. */
#define QUEUE_ASK_FIELDS(F, S)                                                       \
	F(S, u64, request, 0, "repeated in the answers")                             \
	F(S, u32, verb, QUEUE_BOUNCE, "enum queue_verb")                             \
	F(S, u64, id, 0, "this message alone")                                       \
	F(S, bool, all, 0, "every message: must be said, for verbs that change")     \
	F(S, string, state, 32, "incoming active deferred hold corrupt")             \
	F(S, string, sender, 320, "reverse-path, or @domain; <> is the null sender") \
	F(S, string, recipient, 320, "address or @domain")                           \
	F(S, string, user, 320, "who logged in to send it")                          \
	F(S, u64, older, 0, "seconds since arrival at least")                        \
	F(S, u64, limit, 0, "at most so many; 0: all")
RECORD_DECLARE(queue_ask, QUEUE_ASK_FIELDS)

/* One message of a list or show. */
#define QUEUE_ITEM_FIELDS(F, S)                                                       \
	F(S, u64, request, 0, "of the question")                                      \
	F(S, u64, id, 0, "queue id")                                                  \
	F(S, string, state, 32, "incoming active deferred hold corrupt")              \
	F(S, u64, arrived, 0, "Unix seconds")                                         \
	F(S, u64, size, 0, "octets")                                                  \
	F(S, string, sender, 320, "reverse-path; empty: null sender or not readable") \
	F(S, u64, next_attempt, 0, "Unix seconds, 0: none")                           \
	F(S, u32, attempts, 0, "so far, the most of any recipient")                   \
	F(S, u32, recipients, 0, "how many QUEUE_RECIPIENT follow")                   \
	F(S, string, client, 64, "who sent it")                                       \
	F(S, string, user, 320, "who logged in to send it, or uid=N; may be empty")   \
	F(S, string, remark, 400, "why it was set aside, or arrived held")
RECORD_DECLARE(queue_item, QUEUE_ITEM_FIELDS)
#define QUEUE_RECIPIENT_FIELDS(F, S)                                           \
	F(S, u64, request, 0, "of the question")                               \
	F(S, string, address, 320, "where it goes")                            \
	F(S, string, original, 320, "as received, when another")               \
	F(S, string, status, 32,                                               \
	  "pending active deferred delivered failed bounced expanded deleted") \
	F(S, string, reply, 440, "last reply, codes and text")
RECORD_DECLARE(queue_recipient, QUEUE_RECIPIENT_FIELDS)
/* Where mail goes: an MX site, a relay host, a mailbox. */
#define QUEUE_DESTINATION_FIELDS(F, S)                                   \
	F(S, u64, request, 0, "of the question")                         \
	F(S, string, transport, 32, "smtp, local, system")               \
	F(S, string, key, 512, "its name")                               \
	F(S, u64, queued, 0, "jobs that wait")                           \
	F(S, u64, out, 0, "jobs under way")                              \
	F(S, u64, deferred, 0, "messages that wait for it to come back") \
	F(S, u32, window, 0, "jobs that may be under way now")           \
	F(S, u32, failures, 0, "in a row")                               \
	F(S, u64, dead_until, 0, "Unix seconds; 0: it is not dead")      \
	F(S, string, reply, 440, "what it said last when it failed")
RECORD_DECLARE(queue_destination, QUEUE_DESTINATION_FIELDS)
/* A line of text (show: the header block; verify: a finding). */
#define QUEUE_LINE_FIELDS(F, S)                  \
	F(S, u64, request, 0, "of the question") \
	F(S, bytes, text, 64 * 1024, "lines")
RECORD_DECLARE(queue_line, QUEUE_LINE_FIELDS)
#define QUEUE_COUNTS_FIELDS(F, S)                                                   \
	F(S, u64, request, 0, "of the question")                                    \
	F(S, u64, incoming, 0, "messages that were never tried and are not active") \
	F(S, u64, active, 0, "messages")                                            \
	F(S, u64, deferred, 0, "messages")                                          \
	F(S, u64, hold, 0, "messages")                                              \
	F(S, u64, corrupt, 0, "messages set aside as corrupt")                      \
	F(S, u64, segments, 0, "in the spool")                                      \
	F(S, u64, spool_bytes, 0, "octets the spool takes on the disk")             \
	F(S, string, pressure, 200, "why new mail gets 452; empty: it does not")
RECORD_DECLARE(queue_counts, QUEUE_COUNTS_FIELDS)
#define QUEUE_DONE_FIELDS(F, S)                                                         \
	F(S, u64, request, 0, "of the question")                                        \
	F(S, u32, code, 0, "exit code: 0 done, 1 the answer is no, 64 usage, 75 later") \
	F(S, u64, count, 0, "messages listed or changed")                               \
	F(S, string, text, 4096, "a remark; may be empty")
RECORD_DECLARE(queue_done, QUEUE_DONE_FIELDS)
/* control -> manager: the asker has gone, stop the walk. */
#define QUEUE_CANCEL_FIELDS(F, S) F(S, u64, request, 0, "of the question")
RECORD_DECLARE(queue_cancel, QUEUE_CANCEL_FIELDS)
/* control -> manager: the asker does not read for now: the walk waits, until the same message with
 * wait false. Unknown requests are fine: the walk may have ended meanwhile. */
#define QUEUE_PAUSE_FIELDS(F, S)                 \
	F(S, u64, request, 0, "of the question") \
	F(S, bool, wait, 0, "wait, or go on")
RECORD_DECLARE(queue_pause, QUEUE_PAUSE_FIELDS)

#define QUEUE_MESSAGES(M)                      \
	M(QUEUE_ASK, 1, queue_ask)             \
	M(QUEUE_ITEM, 2, queue_item)           \
	M(QUEUE_RECIPIENT, 3, queue_recipient) \
	M(QUEUE_LINE, 4, queue_line)           \
	M(QUEUE_COUNTS, 5, queue_counts)       \
	M(QUEUE_DONE, 6, queue_done)           \
	M(QUEUE_CANCEL, 7, queue_cancel)       \
	M(QUEUE_PAUSE, 8, queue_pause)         \
	M(QUEUE_DESTINATION, 9, queue_destination)
DIALOGUE_NUMBERS(QUEUE_MESSAGES)
extern const struct dialogue queue_dialogue;

#endif
