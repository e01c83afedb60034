/*
 * log: the only daemon that writes the log. See log(8).
 */
#include "common/config/settings.h"
#include "common/service/service.h"
#include "daemons/log/input.h"
#include "daemons/log/output.h"
#include "daemons/log/naming.h"

static const struct record *const settings[] = {&settings_log_record, NULL};

static void take_descriptor(const struct service_descriptor *d)
{
	if (slice_equal(d->kind, SLICE("output")))
		output_use(d->name, d->fd);
	else
		input_add(d->name, d->fd);
}

static void start(void)
{
	output_start();
	input_start();
}

static void last_words(void)
{
	input_read_all();
	output_finish();
}

static void drain(void)
{
	last_words();
	service_drained();
}

static const struct service log_service = {
    .name = "log",
    .settings = settings,
    .setting = naming_setting,
    .descriptor = take_descriptor, /* where lines come from, and where they go */
    .start = start,
    .drain = drain,
    .orphaned = last_words,
};

int main(int argc, char **argv)
{
	return service_run(&log_service, argc, argv);
}
