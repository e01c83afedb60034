/*
 * local: puts mail into the Maildirs of virtual users. The master starts it as the user who owns
 * the mailboxes; it meets messages that strangers wrote, as octets that it does not interpret. See
 * local(8).
 */
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "daemons/local/jobs.h"
#include "daemons/local/statements.h"

static const struct record *const settings[] = {
    &settings_server_record,
    &settings_deliver_record,
    NULL,
};

static const struct service_link links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service local = {
    .name = "local",
    .links = links,
    .settings = settings,
    .settings_begin = statements_settings_begin,
    .setting = statements_setting,
    .settings_end = statements_settings_end,
    .descriptor = statements_descriptor, /* base directories */
    .warm = jobs_warm,
    .start = jobs_start,
    .drain = jobs_drain,
};

int main(int argc, char **argv)
{
	return service_run(&local, argc, argv);
}
