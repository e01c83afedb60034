/*
 * router: says what is ours and where it goes: domains, aliases, users. See router(8).
 */
#include <unistd.h>

#include "common/base/log.h"
#include "daemons/router/questions.h"
#include "daemons/router/rules.h"
#include "daemons/router/users.h"

static const struct record *const settings[] = {
    &settings_server_record,  &settings_domain_record,
    &settings_aliases_record, &settings_deliver_record,
    &settings_routes_record,  &settings_outbound_record,
    &settings_senders_record, NULL,
};

static const struct service_link links[] = {
    {"smtpd", &router_dialogue, questions_of_smtpd, questions_up, questions_down},
    {"submission", &router_dialogue, questions_of_smtpd, questions_up, questions_down},
    {"queue", &router_dialogue, questions_of_queue, questions_up, questions_down},
    {"control", &router_dialogue, questions_of_control, NULL, questions_down},
    {"accounts", &accounts_dialogue, users_routes, users_up, users_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static void descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("file")) || !shelf_load(d->name, d->fd))
		log_error("router has no use for %.*s", SLICE_FMT(d->name));
	users_forget();
	close(d->fd);
}

static void settings_end(void)
{
	rules_end();
	questions_settings(service_generation());
}

static const struct service router = {
    .name = "router",
    .links = links,
    .settings = settings,
    .settings_begin = rules_begin,
    .setting = rules_setting,
    .settings_end = settings_end,
    .descriptor = descriptor, /* a table's file, new or changed */
};

int main(int argc, char **argv)
{
	users_begin();
	return service_run(&router, argc, argv);
}
