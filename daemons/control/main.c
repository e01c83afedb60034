/*
 * control: takes administrators' questions on the socket run/control. See control(8).
 */
#include "daemons/control/control.h"

static void queue_up(struct channel *c, unsigned instance)
{
	(void)instance;
	relay_use(PARTNER_QUEUE, c);
}

static void queue_down(struct channel *c)
{
	(void)c;
	relay_use(PARTNER_QUEUE, NULL);
}

static void router_up(struct channel *c, unsigned instance)
{
	(void)instance;
	relay_use(PARTNER_ROUTER, c);
}

static void router_down(struct channel *c)
{
	(void)c;
	relay_use(PARTNER_ROUTER, NULL);
}

static void start(void)
{
	relay_use(PARTNER_MASTER, service_master());
	askers_start();
}

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
    {"queue", &queue_dialogue, relay_queue_routes, queue_up, queue_down},
    {"router", &router_dialogue, relay_router_routes, router_up, router_down},
    {"accounts", &login_dialogue, none, up, down},
    {"usage", &usage_dialogue, none, up, down},
    {"keys", &keys_dialogue, none, up, down},
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
