/*
 * log: the only daemon that writes the log. See log(8).
 */
#include <string.h>
#include <unistd.h>

#include "common/config/settings.h"
#include "common/service/service.h"
#include "daemons/log/input.h"
#include "daemons/log/output.h"

static const struct record *const settings[] = {&settings_log_record, NULL};

/* As Postfix has it: the machine's name without a domain. Asked once, before the sandbox. */
static const char *our_host(void)
{
	static char host[OUTPUT_HOST_MAX + 1];
	if (!host[0]) {
		if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
			slice_copy(SLICE("localhost"), host, sizeof(host));
		host[strcspn(host, ".")] = '\0';
	}
	return host;
}

static void take_setting(const struct record *record, const void *value)
{
	const struct settings_log *log = value;
	enum style style = style_find(log->format);
	struct slice name = log->name;
	(void)record;
	/* what reads Postfix's log looks for its name, unless another one was chosen */
	if (style == STYLE_POSTFIX && slice_equal(name, SLICE("stagepost")))
		name = SLICE("postfix");
	output_name(name, style, our_host());
}

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
    .setting = take_setting,
    .descriptor = take_descriptor, /* where lines come from, and where they go */
    .start = start,
    .drain = drain,
    .orphaned = last_words,
};

int main(int argc, char **argv)
{
	return service_run(&log_service, argc, argv);
}
