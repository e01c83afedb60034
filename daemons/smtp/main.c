/*
 * smtp: carries mail to other servers. It meets servers that strangers run, and has nothing but its
 * connections and the messages that it is given. See smtp(8).
 */
#include "common/dialogue/resolver.h"
#include "daemons/smtp/smtp.h"

static const struct record *const settings[] = {
    &settings_server_record,
    &settings_timeouts_record,
    NULL,
};

static const struct service_link links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {"resolver", &resolver_dialogue, lookup_routes, lookup_up, lookup_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service smtp = {
    .name = "smtp",
    .links = links,
    .settings = settings,
    .settings_begin = smtp_settings_begin,
    .setting = smtp_setting,
    .settings_end = smtp_settings_end,
    .warm = jobs_warm,
    .start = jobs_start,
    .drain = jobs_drain,
};

int main(int argc, char **argv)
{
	return service_run(&smtp, argc, argv);
}
