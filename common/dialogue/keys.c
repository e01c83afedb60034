/*
 * The conversation with keys: its records and messages as tables.
 */
#include "common/dialogue/keys.h"

RECORD_DEFINE(keys_ask, KEYS_ASK_FIELDS)
RECORD_DEFINE(keys_present, KEYS_PRESENT_FIELDS)
RECORD_DEFINE(keys_sign, KEYS_SIGN_FIELDS)
RECORD_DEFINE(keys_signed, KEYS_SIGNED_FIELDS)
RECORD_DEFINE(keys_tickets, KEYS_TICKETS_FIELDS)
RECORD_DEFINE(keys_status, KEYS_STATUS_FIELDS)
RECORD_DEFINE(keys_certificate, KEYS_CERTIFICATE_FIELDS)
RECORD_DEFINE(keys_status_end, KEYS_STATUS_END_FIELDS)

DIALOGUE_DEFINE(keys, KEYS_MESSAGES)
