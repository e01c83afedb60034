/*
 * maildrop: opens the mailbox of who has logged in by POP3, as its owner, and gives pop3d the
 * session. It hands on the directories that mailboxes lie below, holds no descriptor to any mailbox
 * and reads nothing of a stranger's. See maildrop(8).
 */
#include "common/config/settings.h"
#include "common/dialogue/maildrop.h"
#include "daemons/maildrop/bases.h"
#include "daemons/maildrop/sessions.h"

static const struct record *const settings[] = {&settings_server_record, NULL};

static void setting(const struct record *record, const void *value)
{
	(void)record, (void)value;
}

static void warm(void)
{
	bases_warm();
	sessions_warm(); /* the fork server, which alone can become somebody */
}

static const struct service_link links[] = {
    {"accounts", &maildrop_dialogue, sessions_accounts_routes, sessions_accounts_up,
     sessions_accounts_down},
    {"pop3d", &maildrop_dialogue, sessions_pop3d_routes, sessions_pop3d_up, sessions_pop3d_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service maildrop = {
    .name = "maildrop",
    .links = links,
    .settings = settings,
    .settings_begin = bases_settings_begin,
    .setting = setting,
    .settings_end = bases_settings_end,
    .descriptor = bases_descriptor,
    .warm = warm,
    .start = sessions_start,
    .drain = sessions_drain,
};

int main(int argc, char **argv)
{
	return service_run(&maildrop, argc, argv);
}
