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

/* accounts -> accounts-system: does PAM accept this password of a user of the machine? The answer
 * is ACCOUNTS_PASSWORD_ANSWER: known (it holds, with numbers and home), missing (it does not),
 * trouble. */
#define ACCOUNTS_PASSWORD_FIELDS(F, S)                                    \
	F(S, u64, request, 0, "repeated in the answer")                   \
	F(S, string, pam, 64, "PAM service: the name of a file in pam.d") \
	F(S, string, user, 64, "name of a user of the machine")           \
	F(S, string, client, 64, "numeric address, for PAM's rhost")      \
	F(S, bytes, turn, 16, "whose turn it takes, as base/turns")       \
	F(S, bool, known, 0, "that client has been right before")         \
	F(S, secret, password, 1024, "UTF-8, no NUL")
RECORD_DECLARE(accounts_password, ACCOUNTS_PASSWORD_FIELDS)

#define ACCOUNTS_MESSAGES(M)                       \
	M(ACCOUNTS_ASK, 1, accounts_ask)           \
	M(ACCOUNTS_ANSWER, 2, accounts_answer)     \
	M(ACCOUNTS_PASSWORD, 3, accounts_password) \
	M(ACCOUNTS_PASSWORD_ANSWER, 4, accounts_answer)
DIALOGUE_NUMBERS(ACCOUNTS_MESSAGES)
extern const struct dialogue accounts_dialogue;

#endif
