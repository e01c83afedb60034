/*
 * pickup: takes mail that programs have left in the drop directory.
 */
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/pickup.h"
#include "common/service/service.h"

static const struct record *const settings[] = {&settings_server_record, NULL};

static const struct route none[] = {{0, 0, NULL}};

static void up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

static void down(struct channel *c)
{
	(void)c;
}

static void setting(const struct record *record, const void *value)
{
	(void)record, (void)value;
}

static void descriptor(const struct service_descriptor *d)
{
	close(d->fd);
}

static const struct service_link links[] = {
    {"submission", &pickup_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service pickup = {
    .name = "pickup",
    .links = links,
    .settings = settings,
    .setting = setting,
    .descriptor = descriptor,
};

int main(int argc, char **argv)
{
	return service_run(&pickup, argc, argv);
}
