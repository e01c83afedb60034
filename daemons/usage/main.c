/*
 * usage: remembers what users have sent and who is blocked.
 */
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/usage.h"
#include "common/service/service.h"

static const struct record *const settings[] = {&settings_submission_record, NULL};

static const struct route none[] = {{0, 0, NULL}};

static void up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

/* Nobody is blocked. */
static void accounts_up(struct channel *c, unsigned instance)
{
	struct usage_blocked_end m = {0};

	(void)instance;
	channel_send(c, USAGE_BLOCKED_END, &m);
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
    {"submission", &usage_dialogue, none, up, down},
    {"accounts", &usage_dialogue, none, accounts_up, down},
    {"control", &usage_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service usage = {
    .name = "usage",
    .links = links,
    .settings = settings,
    .setting = setting,
    .descriptor = descriptor,
};

int main(int argc, char **argv)
{
	return service_run(&usage, argc, argv);
}
