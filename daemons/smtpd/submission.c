/*
 * submission: smtpd where our own people send their mail (RFC 6409): users with passwords, programs
 * of this machine by its socket, and what these left while nobody listened.
 */
#include "common/dialogue/keys.h"
#include "common/dialogue/pickup.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/usage.h"
#include "common/dialogue/writer.h"
#include "common/service/logins.h"
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

static const struct record *const settings[] = {
    &settings_server_record,	  &settings_listen_record,     &settings_network_record,
    &settings_limits_record,	  &settings_resolver_record,   &settings_tls_record,
    &settings_certificate_record, &settings_submission_record, NULL,
};

static const struct service_link links[] = {
    {"router", &router_dialogue, verdict_routes, verdict_up, verdict_down},
    {"queue", &writer_dialogue, queue_routes, queue_up, queue_down},
    {"resolver", &resolver_dialogue, names_routes, names_up, names_down},
    {"keys", &keys_dialogue, secure_routes, secure_up, secure_down},
    {"accounts", &login_dialogue, logins_routes, logins_up, logins_down},
    {"usage", &usage_dialogue, usage_routes, usage_up, usage_down},
    {"pickup", &pickup_dialogue, pickup_routes, pickup_up, pickup_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static void warm(void)
{
	secure_warm("submission");
	logins_warm(server_end_user);
	usage_warm();
	server_warm();
}

const struct service submission = {
    .name = "submission",
    .links = links,
    .settings = settings,
    .settings_begin = smtpd_settings_begin,
    .setting = smtpd_setting,
    .settings_end = smtpd_settings_end,
    .descriptor = server_descriptor,
    .warm = warm,
    .start = server_start,
    .drain = server_drain,
};
