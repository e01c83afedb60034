/*
 * The conversation with usage: its records and messages as tables.
 */
#include "common/dialogue/usage.h"

RECORD_DEFINE(usage_sends, USAGE_SENDS_FIELDS)
RECORD_DEFINE(usage_to, USAGE_TO_FIELDS)
RECORD_DEFINE(usage_verdict, USAGE_VERDICT_FIELDS)
RECORD_DEFINE(usage_blocked, USAGE_BLOCKED_FIELDS)
RECORD_DEFINE(usage_blocked_end, USAGE_BLOCKED_END_FIELDS)
RECORD_DEFINE(usage_ask, USAGE_ASK_FIELDS)
RECORD_DEFINE(usage_listed, USAGE_LISTED_FIELDS)
RECORD_DEFINE(usage_done, USAGE_DONE_FIELDS)

DIALOGUE_DEFINE(usage, USAGE_MESSAGES)
