/*
 * control: takes administrators' questions on the socket run/control. See control(8).
 */
#include "daemons/control/control.h"

static void start(void)
{
	relay_use(PARTNER_MASTER, service_master());
	askers_start();
}

static const struct service_link links[] = {
    {"queue", &queue_dialogue, relay_queue_routes, partner_queue_up, partner_queue_down},
    {"router", &router_dialogue, relay_router_routes, partner_router_up, partner_router_down},
    {"accounts", &login_dialogue, relay_accounts_routes, partner_accounts_up,
     partner_accounts_down},
    {"usage", &usage_dialogue, relay_usage_routes, partner_usage_up, partner_usage_down},
    {"keys", &keys_dialogue, relay_keys_routes, partner_keys_up, partner_keys_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service control = {
    .name = "control",
    .links = links,
    .descriptor = askers_descriptor, /* the listening socket */
    .warm = rights_warm,	     /* who is an administrator */
    .start = start,
    .drain = askers_drain,
    .master_routes = relay_master_routes,
};

int main(int argc, char **argv)
{
	return service_run(&control, argc, argv);
}
