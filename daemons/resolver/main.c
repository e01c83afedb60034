/*
 * resolver: asks the DNS for the others: sites of domains, addresses of hosts, names of clients.
 * See resolver(8).
 */
#include "daemons/resolver/kinds.h"
#include "daemons/resolver/settings.h"

static const struct route routes[] = {
    {RESOLVE_SITE, ROUTE_ALWAYS, site_asked},	/* of which site is this domain? */
    {RESOLVE_HOSTS, ROUTE_ALWAYS, hosts_asked}, /* where is mail for this one sent? */
    {RESOLVE_NAME, ROUTE_ALWAYS, name_asked},	/* who has this address? */
    {0, 0, NULL},
};

static const struct service_link links[] = {
    {"queue", &resolver_dialogue, routes, questions_up, questions_down},
    {"smtp", &resolver_dialogue, routes, questions_up, questions_down},
    {"smtpd", &resolver_dialogue, routes, questions_up, questions_down},
    {"submission", &resolver_dialogue, routes, questions_up, questions_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service resolver = {
    .name = "resolver",
    .links = links,
    .settings = resolver_settings,
    .settings_begin = resolver_settings_begin,
    .setting = resolver_setting,
    .settings_end = resolver_settings_end,
    .descriptor = resolver_descriptor,
    .warm = resolver_warm,
    .start = resolver_start,
};

int main(int argc, char **argv)
{
	return service_run(&resolver, argc, argv);
}
