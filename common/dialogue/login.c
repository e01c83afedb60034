/*
 * The conversation about logins: its records and messages as tables.
 */
#include "common/dialogue/login.h"

RECORD_DEFINE(login_mechanisms, LOGIN_MECHANISMS_FIELDS)
RECORD_DEFINE(login_check, LOGIN_CHECK_FIELDS)
RECORD_DEFINE(login_scram, LOGIN_SCRAM_FIELDS)
RECORD_DEFINE(login_salt, LOGIN_SALT_FIELDS)
RECORD_DEFINE(login_proof, LOGIN_PROOF_FIELDS)
RECORD_DEFINE(login_forget, LOGIN_FORGET_FIELDS)
RECORD_DEFINE(login_done, LOGIN_DONE_FIELDS)
RECORD_DEFINE(login_revoked, LOGIN_REVOKED_FIELDS)

DIALOGUE_DEFINE(login, LOGIN_MESSAGES)
