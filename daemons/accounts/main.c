/*
 * accounts: the only daemon that holds users tables and passwords; says whether somebody is a user,
 * and whether he is who he says. See accounts(8).
 */
#include "daemons/accounts/answer.h"
#include "daemons/accounts/askers.h"
#include "daemons/accounts/blocked.h"
#include "daemons/accounts/hasher.h"
#include "daemons/accounts/login.h"
#include "daemons/accounts/machine.h"
#include "daemons/accounts/mailbox.h"
#include "daemons/accounts/settings.h"

static const struct service_link links[] = {
    {"router", &accounts_dialogue, answer_routes, answer_router_up, answer_down},
    {"local-system", &accounts_dialogue, answer_routes, answer_local_system_up, answer_down},
    {"accounts-system", &accounts_dialogue, machine_routes, machine_up, machine_down},
    {"submission", &login_dialogue, askers_routes, askers_up, askers_down},
    {"pop3d", &login_dialogue, askers_routes, askers_up, askers_down},
    {"control", &login_dialogue, askers_control_routes, askers_control_up, askers_down},
    {"maildrop", &maildrop_dialogue, mailbox_routes, mailbox_up, mailbox_down},
    {"usage", &usage_dialogue, blocked_routes, blocked_up, blocked_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service accounts = {
    .name = "accounts",
    .links = links,
    .settings = settings_wanted,
    .settings_begin = settings_begin,
    .setting = settings_take,
    .settings_end = settings_end,
    .descriptor = settings_descriptor, /* a users table's file, new or changed */
    .warm = login_warm,
    .start = hasher_start,
};

int main(int argc, char **argv)
{
	return service_run(&accounts, argc, argv);
}
