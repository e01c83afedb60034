/*
 * maildrop: opens the mailbox of who has logged in by POP3, as its owner, and gives pop3d the
 * session. It holds no descriptor to any mailbox and reads nothing of a stranger's. See
 * maildrop(8).
 */
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/maildrop.h"
#include "daemons/maildrop/sessions.h"

static const struct record *const settings[] = {&settings_server_record, NULL};

static void setting(const struct record *record, const void *value)
{
	(void)record, (void)value;
}

static void descriptor(const struct service_descriptor *d)
{
	close(d->fd);
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
    .setting = setting,
    .descriptor = descriptor,
    .warm = sessions_warm, /* the fork server, which alone can become somebody */
    .start = sessions_start,
    .drain = sessions_drain,
};

int main(int argc, char **argv)
{
	return service_run(&maildrop, argc, argv);
}
