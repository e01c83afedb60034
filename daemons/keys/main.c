/*
 * keys: the only process that can read private keys.
 */
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/keys.h"
#include "common/service/service.h"

static const struct record *const settings[] = {&settings_certificate_record, NULL};

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
    {"smtpd", &keys_dialogue, none, up, down},
    {"submission", &keys_dialogue, none, up, down},
    {"pop3d", &keys_dialogue, none, up, down},
    {"control", &keys_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service keys = {
    .name = "keys",
    .links = links,
    .settings = settings,
    .setting = setting,
    .descriptor = descriptor,
};

int main(int argc, char **argv)
{
	return service_run(&keys, argc, argv);
}
