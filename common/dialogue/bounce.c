/*
 * The records of the bounce conversation.
 */
#include "common/dialogue/bounce.h"

RECORD_DEFINE(bounce_start, BOUNCE_START_FIELDS)
RECORD_DEFINE(bounce_recipient, BOUNCE_RECIPIENT_FIELDS)
RECORD_DEFINE(bounce_end, BOUNCE_END_FIELDS)
RECORD_DEFINE(bounce_done, BOUNCE_DONE_FIELDS)
DIALOGUE_DEFINE(bounce, BOUNCE_MESSAGES)
