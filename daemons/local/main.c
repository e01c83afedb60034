/*
 * local: puts mail into mailboxes. One program for two roles, which the master names in argv[0]:
 * local delivers into the Maildirs of virtual users, as the user who owns them; local-system to the
 * machine's own users, each by a child that is this user. It meets messages that strangers wrote,
 * as octets that it does not interpret. See local(8).
 */
#include "common/config/settings.h"
#include "common/dialogue/accounts.h"
#include "common/dialogue/job.h"
#include "daemons/local/jobs.h"
#include "daemons/local/statements.h"
#include "daemons/local/system.h"
#include "daemons/local/virtual.h"

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
    .warm = virtual_warm,
    .start = virtual_start, /* the threads */
    .drain = jobs_drain,
};

static const struct service_link system_links[] = {
    {"queue", &job_dialogue, jobs_routes, jobs_up, jobs_down},
    {"accounts", &accounts_dialogue, system_accounts_routes, system_accounts_up,
     system_accounts_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service local_system = {
    .name = "local-system",
    .links = system_links,
    .settings = settings,
    .settings_begin = statements_settings_begin,
    .setting = statements_setting,
    .settings_end = statements_settings_end,
    .warm = system_warm, /* the fork server, which alone can become somebody */
    .start = system_start,
    .drain = system_drain,
};

int main(int argc, char **argv)
{
	bool system = slice_ends_fold(slice_str(argv[0]), SLICE("local-system"));
	return service_run(system ? &local_system : &local, argc, argv);
}
