/*
 * The conversation of accounts: its records and messages as tables.
 */
#include "common/dialogue/accounts.h"

RECORD_DEFINE(accounts_ask, ACCOUNTS_ASK_FIELDS)
RECORD_DEFINE(accounts_answer, ACCOUNTS_ANSWER_FIELDS)
RECORD_DEFINE(accounts_password, ACCOUNTS_PASSWORD_FIELDS)

DIALOGUE_DEFINE(accounts, ACCOUNTS_MESSAGES)
