/*
 * queue: the queue manager. It alone decides and writes what becomes of each recipient.
 */
#include "common/dialogue/bounce.h"
#include "common/dialogue/queue.h"
#include "queue/manager/manager.h"

static const struct record *const settings[] = {
    &settings_limits_record, &settings_retry_record,  &settings_deliver_record,
    &settings_server_record, &settings_domain_record, NULL,
};

static const struct service_link links[] = {
    {"smtpd", &writer_dialogue, writer_routes, writers_up, writers_down},
    {"submission", &writer_dialogue, writer_routes, writers_up, writers_down},
    {"router", &router_dialogue, router_routes, routes_up, routes_down},
    {"resolver", &resolver_dialogue, resolver_routes, sites_up, sites_down},
    {"local", &job_dialogue, agent_routes, agents_up_local, agents_down},
    {"smtp", &job_dialogue, agent_routes, agents_up_smtp, agents_down},
    {"local-system", &job_dialogue, agent_routes, agents_up_system, agents_down},
    {"bounce", &bounce_dialogue, bounce_routes, reports_up, reports_down},
    {"control", &queue_dialogue, admin_routes, admin_up, admin_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service queue = {
    .name = "queue",
    .links = links,
    .settings = settings,
    .settings_begin = manager_settings_begin,
    .setting = manager_setting,
    .settings_end = manager_settings_end,
    .descriptor = manager_descriptor,
    .warm = manager_warm,
    .start = manager_start,
    .drain = manager_drain,
    .orphaned = manager_orphaned,
};

int main(int argc, char **argv)
{
	return service_run(&queue, argc, argv);
}
