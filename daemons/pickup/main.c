/*
 * pickup: takes mail that `sendmail` has left in the drop directory, and hands it to submission by
 * SMTP, as if its author had come by the socket for programs. See pickup(8).
 */
#include "daemons/pickup/pickup.h"

static const struct record *const settings[] = {&settings_server_record, NULL};
static const struct route none[] = {{0, 0, NULL}};

static const struct service_link links[] = {
    {"submission", &pickup_dialogue, none, submission_up, submission_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service pickup = {
    .name = "pickup",
    .links = links,
    .settings = settings,
    .setting = submission_setting,
    .descriptor = letters_descriptor,
    .warm = letters_warm,
    .start = letters_start,
    .drain = letters_drain,
};

int main(int argc, char **argv)
{
	return service_run(&pickup, argc, argv);
}
