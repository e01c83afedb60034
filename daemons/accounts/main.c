/*
 * accounts: the only daemon that holds users tables; says whether somebody is a user. See
 * accounts(8).
 */
#include <unistd.h>

#include "common/dialogue/login.h"
#include "common/dialogue/maildrop.h"
#include "common/dialogue/usage.h"
#include "common/base/log.h"
#include "common/config/settings.h"
#include "daemons/accounts/answer.h"
#include "daemons/accounts/machine.h"
#include "daemons/accounts/shelf.h"

static const struct record *const settings[] = {&settings_deliver_record, NULL};

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
    {"router", &accounts_dialogue, answer_routes, answer_router_up, answer_down},
    {"local-system", &accounts_dialogue, answer_routes, answer_local_system_up, answer_down},
    {"accounts-system", &accounts_dialogue, machine_routes, machine_up, machine_down},
    {"submission", &login_dialogue, none, up, down},
    {"pop3d", &login_dialogue, none, up, down},
    {"control", &login_dialogue, none, up, down},
    {"maildrop", &maildrop_dialogue, none, up, down},
    {"usage", &usage_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static void settings_begin(void)
{
	shelf_begin();
	machine_begin();
}

static void settings_end(void)
{
	shelf_end();
	machine_end();
}

static void setting(const struct record *record, const void *value)
{
	const struct settings_deliver *deliver = value;

	(void)record;
	if (slice_equal(deliver->users, MACHINE_USERS))
		machine_name();
	else if (deliver->users.len > 0 && !slice_equal(deliver->users, SLICE("any")))
		shelf_name(deliver->users);
}

static void descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("file")) || !shelf_load(d->name, d->fd))
		log_error("accounts has no use for %.*s", SLICE_FMT(d->name));
	close(d->fd);
}

static const struct service accounts = {
    .name = "accounts",
    .links = links,
    .settings = settings,
    .settings_begin = settings_begin,
    .setting = setting,
    .settings_end = settings_end,
    .descriptor = descriptor, /* a users table's file, new or changed */
};

int main(int argc, char **argv)
{
	return service_run(&accounts, argc, argv);
}
