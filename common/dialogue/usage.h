/*
 * usage: the only process that remembers what users have sent, and who is blocked. submission asks
 * it before each commit of a user's message; accounts hears who is blocked; an administrator blocks
 * and lists by control.
 */
#ifndef COMMON_DIALOGUE_USAGE_H
#define COMMON_DIALOGUE_USAGE_H

#include "common/wire/dialogue.h"

enum { USAGE_USER_MAX = 320, USAGE_RECIPIENTS_MAX = 100000, USAGE_RECIPIENTS_PART = 4096 };

/* submission -> usage: a message of this user is complete. Recipients follow as hashes in
 * USAGE_TO, as long as the next USAGE_SENDS has not begun; then the answer comes. hold: over a
 * limit, or the user is blocked; the message is taken and arrives held, with the text as its reason
 * (queue/store/record.h). What is held does not count: the limits are on what goes out. tell:
 * submission mails the postmaster that this user is over a limit; once a user and day. */
#define USAGE_SENDS_FIELDS(F, S)                                \
	F(S, u64, request, 0, "repeated in the answer")         \
	F(S, string, user, USAGE_USER_MAX, "canonical address") \
	F(S, u64, id, 0, "queue id of the message")             \
	F(S, u32, recipients, USAGE_RECIPIENTS_MAX, "how many; in USAGE_TO")
RECORD_DECLARE(usage_sends, USAGE_SENDS_FIELDS)
#define USAGE_TO_FIELDS(F, S)                          \
	F(S, u64, request, 0, "of the question")       \
	F(S, bytes, hashes, USAGE_RECIPIENTS_PART * 8, \
	  "u64 each: first octets of the SHA-256 of the folded address")
RECORD_DECLARE(usage_to, USAGE_TO_FIELDS)
#define USAGE_VERDICT_FIELDS(F, S)                                          \
	F(S, u64, request, 0, "of the question")                            \
	F(S, bool, hold, 0, "take it, and hold it")                         \
	F(S, bool, refuse, 0, "too much is held of this user already: 452") \
	F(S, bool, tell, 0, "and mail the postmaster")                      \
	F(S, string, text, 200, "which limit, for queue and log")
RECORD_DECLARE(usage_verdict, USAGE_VERDICT_FIELDS)

/* usage -> accounts, submission: this user is blocked, or is no more; all that are blocked as soon
 * as the channel is up, then each change. */
#define USAGE_BLOCKED_FIELDS(F, S)                              \
	F(S, string, user, USAGE_USER_MAX, "canonical address") \
	F(S, bool, blocked, 0, "from now on; or no more")
RECORD_DECLARE(usage_blocked, USAGE_BLOCKED_FIELDS)
/* usage -> accounts: that was all of those at first; before it nobody logs in. */
#define USAGE_BLOCKED_END_FIELDS(F, S) F(S, u32, count, 0, "how many were told")
RECORD_DECLARE(usage_blocked_end, USAGE_BLOCKED_END_FIELDS)

/* control -> usage. Answers: a USAGE_LISTED for each (list), then USAGE_DONE. */
enum usage_verb { USAGE_BLOCK = 1, USAGE_UNBLOCK, USAGE_LIST };
#define USAGE_ASK_FIELDS(F, S)                           \
	F(S, u64, request, 0, "repeated in the answers") \
	F(S, u32, verb, USAGE_LIST, "enum usage_verb")   \
	F(S, string, user, USAGE_USER_MAX, "canonical address; list: empty for all")
RECORD_DECLARE(usage_ask, USAGE_ASK_FIELDS)
#define USAGE_LISTED_FIELDS(F, S)                               \
	F(S, u64, request, 0, "of the question")                \
	F(S, string, user, USAGE_USER_MAX, "canonical address") \
	F(S, bool, blocked, 0, "by an administrator")           \
	F(S, u32, messages_hour, 0, "sent in the last hour")    \
	F(S, u32, messages_day, 0, "in the last day")           \
	F(S, u32, recipients_hour, 0, "in the last hour")       \
	F(S, u32, recipients_day, 0, "in the last day")         \
	F(S, u32, new_recipients_day, 0, "first written to in the last day")
RECORD_DECLARE(usage_listed, USAGE_LISTED_FIELDS)
#define USAGE_DONE_FIELDS(F, S)                                             \
	F(S, u64, request, 0, "of the question")                            \
	F(S, u32, code, 0, "exit code: 0 done, 1 was so already, 75 later") \
	F(S, string, text, 400, "a remark; may be empty")
RECORD_DECLARE(usage_done, USAGE_DONE_FIELDS)

#define USAGE_MESSAGES(M)                          \
	M(USAGE_SENDS, 1, usage_sends)             \
	M(USAGE_TO, 2, usage_to)                   \
	M(USAGE_VERDICT, 3, usage_verdict)         \
	M(USAGE_BLOCKED, 4, usage_blocked)         \
	M(USAGE_BLOCKED_END, 5, usage_blocked_end) \
	M(USAGE_ASK, 6, usage_ask)                 \
	M(USAGE_LISTED, 7, usage_listed)           \
	M(USAGE_DONE, 8, usage_done)
DIALOGUE_NUMBERS(USAGE_MESSAGES)
extern const struct dialogue usage_dialogue;

#endif
