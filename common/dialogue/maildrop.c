/*
 * The conversations about a maildrop: their records and messages as tables.
 */
#include "common/dialogue/maildrop.h"

RECORD_DEFINE(maildrop_grant, MAILDROP_GRANT_FIELDS)
RECORD_DEFINE(maildrop_open, MAILDROP_OPEN_FIELDS)
RECORD_DEFINE(maildrop_opened, MAILDROP_OPENED_FIELDS)
RECORD_DEFINE(maildrop_listed, MAILDROP_LISTED_FIELDS)
RECORD_DEFINE(maildrop_state, MAILDROP_STATE_FIELDS)
RECORD_DEFINE(maildrop_read, MAILDROP_READ_FIELDS)
RECORD_DEFINE(maildrop_part, MAILDROP_PART_FIELDS)
RECORD_DEFINE(maildrop_delete, MAILDROP_DELETE_FIELDS)
RECORD_DEFINE(maildrop_deleted, MAILDROP_DELETED_FIELDS)

DIALOGUE_DEFINE(maildrop, MAILDROP_MESSAGES)
DIALOGUE_DEFINE(maildrop_session, MAILDROP_SESSION_MESSAGES)
