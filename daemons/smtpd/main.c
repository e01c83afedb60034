/*
 * smtpd: receives mail by SMTP (RFC 5321) and puts it into the queue. A stranger talks with this
 * process alone, and it can do nothing but talk, append to a segment that it was lent, and ask.
 */
#include "common/dialogue/keys.h"
#include "common/dialogue/login.h"
#include "common/dialogue/pickup.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/usage.h"
#include "common/dialogue/writer.h"
#include "daemons/smtpd/smtpd.h"

static const struct record *const settings[] = {
    &settings_server_record, &settings_listen_record,	&settings_network_record,
    &settings_limits_record, &settings_resolver_record, NULL,
};

static const struct route none[] = {{0, 0, NULL}};

static void up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

static void down(struct channel *c)
{
	(void)c;
}

static const struct service_link links[] = {
    {"router", &router_dialogue, verdict_routes, verdict_up, verdict_down},
    {"queue", &writer_dialogue, queue_routes, queue_up, queue_down},
    {"resolver", &resolver_dialogue, names_routes, names_up, names_down},
    {"keys", &keys_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service smtpd = {
    .name = "smtpd",
    .links = links,
    .settings = settings,
    .settings_begin = smtpd_settings_begin,
    .setting = smtpd_setting,
    .settings_end = smtpd_settings_end,
    .descriptor = server_descriptor,
    .warm = server_warm,
    .start = server_start,
    .drain = server_drain,
};

static const struct service_link submission_links[] = {
    {"router", &router_dialogue, verdict_routes, verdict_up, verdict_down},
    {"queue", &writer_dialogue, queue_routes, queue_up, queue_down},
    {"resolver", &resolver_dialogue, names_routes, names_up, names_down},
    {"keys", &keys_dialogue, none, up, down},
    {"accounts", &login_dialogue, none, up, down},
    {"usage", &usage_dialogue, none, up, down},
    {"pickup", &pickup_dialogue, server_pickup_routes, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service submission = {
    .name = "submission",
    .links = submission_links,
    .settings = settings,
    .settings_begin = smtpd_settings_begin,
    .setting = smtpd_setting,
    .settings_end = smtpd_settings_end,
    .descriptor = server_descriptor,
    .warm = server_warm,
    .start = server_start,
    .drain = server_drain,
};

int main(int argc, char **argv)
{
	bool users = slice_ends_fold(slice_str(argv[0]), SLICE("submission"));
	return service_run(users ? &submission : &smtpd, argc, argv);
}
