/*
 * smtpd: receives mail by SMTP (RFC 5321) and puts it into the queue. A stranger talks with this
 * process alone, and it can do nothing but talk, append to a segment that it was lent, and ask.
 * submission is the same program with users (submission.c).
 */
#include "common/dialogue/keys.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/writer.h"
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

static const struct record *const settings[] = {
    &settings_server_record,	  &settings_listen_record,
    &settings_network_record,	  &settings_limits_record,
    &settings_resolver_record,	  &settings_tls_record,
    &settings_certificate_record, NULL,
};

static const struct service_link links[] = {
    {"router", &router_dialogue, verdict_routes, verdict_up, verdict_down},
    {"queue", &writer_dialogue, queue_routes, queue_up, queue_down},
    {"resolver", &resolver_dialogue, names_routes, names_up, names_down},
    {"keys", &keys_dialogue, secure_routes, secure_up, secure_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static void warm(void)
{
	secure_warm("smtpd");
	server_warm();
}

static const struct service smtpd = {
    .name = "smtpd",
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

int main(int argc, char **argv)
{
	bool users = slice_ends_fold(slice_str(argv[0]), SLICE("submission"));
	return service_run(users ? &submission : &smtpd, argc, argv);
}
