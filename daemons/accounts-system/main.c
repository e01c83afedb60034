/*
 * accounts-system: says who is a user of the machine, and whether PAM accepts his password. It is
 * there when a deliver statement has system users, or PAM has passwords. See accounts-system(8).
 */
#include "common/dialogue/accounts.h"
#include "daemons/accounts-system/answer.h"
#include "daemons/accounts-system/children.h"

static const struct service_link links[] = {
    {"accounts", &accounts_dialogue, answer_routes, answer_up, answer_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service accounts_system = {
    .name = "accounts-system",
    .links = links,
    .warm = children_warm, /* the fork server, before any right is given up */
    .start = children_start,
};

int main(int argc, char **argv)
{
	return service_run(&accounts_system, argc, argv);
}
