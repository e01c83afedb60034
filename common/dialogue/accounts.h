/*
 * accounts: the only process that opens a users table answers whether a user is there. For the
 * machine's own users (table "system") it asks accounts-system, in the same words. local-system
 * asks it for the user's numbers and home.
 */
#ifndef COMMON_DIALOGUE_ACCOUNTS_H
#define COMMON_DIALOGUE_ACCOUNTS_H

#include "common/wire/dialogue.h"

enum { ACCOUNTS_GROUPS_MAX = 64 };

#define ACCOUNTS_ASK_FIELDS(F, S)                                          \
	F(S, u64, request, 0, "repeated in the answer")                    \
	F(S, string, users, 4096, "the users table, KIND:PATH, or system") \
	F(S, string, user, 64, "local part, folded")                       \
	F(S, string, domain, 255, "domain, folded")
RECORD_DECLARE(accounts_ask, ACCOUNTS_ASK_FIELDS)
enum accounts_result { ACCOUNTS_KNOWN = 1, ACCOUNTS_MISSING, ACCOUNTS_TROUBLE };
#define ACCOUNTS_ANSWER_FIELDS(F, S)                                \
	F(S, u64, request, 0, "of the question")                    \
	F(S, u32, result, ACCOUNTS_TROUBLE, "enum accounts_result") \
	F(S, string, text, 400, "what is the trouble, for the log") \
	F(S, u32, uid, 0, "system users, known: never 0")           \
	F(S, u32, gid, 0, "of the user's first group")              \
	F(S, string, home, 4096, "home directory, absolute")        \
	F(S, bytes, groups, ACCOUNTS_GROUPS_MAX * 4, "supplementary groups, u32 each")
RECORD_DECLARE(accounts_answer, ACCOUNTS_ANSWER_FIELDS)

#define ACCOUNTS_MESSAGES(M)             \
	M(ACCOUNTS_ASK, 1, accounts_ask) \
	M(ACCOUNTS_ANSWER, 2, accounts_answer)
DIALOGUE_NUMBERS(ACCOUNTS_MESSAGES)
extern const struct dialogue accounts_dialogue;

#endif
