/*
 * usage: remembers what users have sent, and who is blocked. See usage(8).
 */
#include <unistd.h>

#include "common/base/log.h"
#include "daemons/usage/usage.h"

static int directory = -1;

static const struct record *const settings[] = {&settings_submission_record, NULL};

static void setting(const struct record *record, const void *value)
{
	(void)record;
	book_limits(value);
}

static void descriptor(const struct service_descriptor *d)
{
	if (directory < 0 && slice_equal(d->kind, SLICE("directory")))
		directory = d->fd;
	else
		close(d->fd);
}

static void start(void)
{
	struct error e;
	if (directory < 0)
		fatal("the master gave no state directory");
	if (!blocked_open(directory, &e))
		fatal("who is blocked can't be read: %s", e.text);
	journal_open(directory, usage_now());
	journal_start();
	listings_start();
}

static void drain(void)
{
	journal_close();
	service_drained();
}

static const struct service_link links[] = {
    {"submission", &usage_dialogue, submission_routes, questions_submission_up,
     questions_submission_down},
    {"accounts", &usage_dialogue, accounts_routes, questions_accounts_up, questions_accounts_down},
    {"control", &usage_dialogue, control_routes, questions_control_up, questions_control_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service usage = {
    .name = "usage",
    .links = links,
    .settings = settings,
    .setting = setting,
    .descriptor = descriptor,
    .start = start,
    .drain = drain,
    .orphaned = journal_close, /* the last second's counts */
};

int main(int argc, char **argv)
{
	return service_run(&usage, argc, argv);
}
