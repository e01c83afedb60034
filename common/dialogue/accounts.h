/*
 * accounts: the only process that opens a users table answers whether a user is there.
 */
#ifndef COMMON_DIALOGUE_ACCOUNTS_H
#define COMMON_DIALOGUE_ACCOUNTS_H

#include "common/wire/dialogue.h"

#define ACCOUNTS_ASK_FIELDS(F, S)                               \
	F(S, u64, request, 0, "repeated in the answer")         \
	F(S, string, users, 4096, "the users table, KIND:PATH") \
	F(S, string, user, 64, "local part, folded")            \
	F(S, string, domain, 255, "domain, folded")
RECORD_DECLARE(accounts_ask, ACCOUNTS_ASK_FIELDS)
enum accounts_result { ACCOUNTS_KNOWN = 1, ACCOUNTS_MISSING, ACCOUNTS_TROUBLE };
#define ACCOUNTS_ANSWER_FIELDS(F, S)                                \
	F(S, u64, request, 0, "of the question")                    \
	F(S, u32, result, ACCOUNTS_TROUBLE, "enum accounts_result") \
	F(S, string, text, 400, "what is the trouble, for the log")
RECORD_DECLARE(accounts_answer, ACCOUNTS_ANSWER_FIELDS)

#define ACCOUNTS_MESSAGES(M)             \
	M(ACCOUNTS_ASK, 1, accounts_ask) \
	M(ACCOUNTS_ANSWER, 2, accounts_answer)
DIALOGUE_NUMBERS(ACCOUNTS_MESSAGES)
extern const struct dialogue accounts_dialogue;

#endif
