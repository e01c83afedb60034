/*
 * The conversation of pickup: its record and message as tables.
 */
#include "common/dialogue/pickup.h"

RECORD_DEFINE(pickup_session, PICKUP_SESSION_FIELDS)

DIALOGUE_DEFINE(pickup, PICKUP_MESSAGES)
