/*
 * settings: the tables of the settings records' fields, and the list of all.
 */
#include "common/config/settings.h"

RECORD_DEFINE(settings_server, SETTINGS_SERVER_FIELDS)
RECORD_DEFINE(settings_log, SETTINGS_LOG_FIELDS)
RECORD_DEFINE(settings_listen, SETTINGS_LISTEN_FIELDS)
RECORD_DEFINE(settings_network, SETTINGS_NETWORK_FIELDS)
RECORD_DEFINE(settings_limits, SETTINGS_LIMITS_FIELDS)
RECORD_DEFINE(settings_retry, SETTINGS_RETRY_FIELDS)
RECORD_DEFINE(settings_timeouts, SETTINGS_TIMEOUTS_FIELDS)
RECORD_DEFINE(settings_aliases, SETTINGS_ALIASES_FIELDS)
RECORD_DEFINE(settings_domain, SETTINGS_DOMAIN_FIELDS)
RECORD_DEFINE(settings_deliver, SETTINGS_DELIVER_FIELDS)
RECORD_DEFINE(settings_routes, SETTINGS_ROUTES_FIELDS)
RECORD_DEFINE(settings_outbound, SETTINGS_OUTBOUND_FIELDS)
RECORD_DEFINE(settings_resolver, SETTINGS_RESOLVER_FIELDS)
RECORD_DEFINE(settings_tls, SETTINGS_TLS_FIELDS)
RECORD_DEFINE(settings_certificate, SETTINGS_CERTIFICATE_FIELDS)
RECORD_DEFINE(settings_auth, SETTINGS_AUTH_FIELDS)
RECORD_DEFINE(settings_passwords, SETTINGS_PASSWORDS_FIELDS)
RECORD_DEFINE(settings_submission, SETTINGS_SUBMISSION_FIELDS)
RECORD_DEFINE(settings_senders, SETTINGS_SENDERS_FIELDS)

const struct record *const settings_records[] = {
    &settings_server_record,	  &settings_log_record,
    &settings_listen_record,	  &settings_network_record,
    &settings_limits_record,	  &settings_retry_record,
    &settings_timeouts_record,	  &settings_aliases_record,
    &settings_domain_record,	  &settings_deliver_record,
    &settings_routes_record,	  &settings_outbound_record,
    &settings_resolver_record,	  &settings_tls_record,
    &settings_certificate_record, &settings_auth_record,
    &settings_passwords_record,	  &settings_submission_record,
    &settings_senders_record,	  NULL,
};
