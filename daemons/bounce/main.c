/*
 * bounce: tells senders what became of their mail: makes the notifications that the queue manager
 * asks for, and puts them into the queue as any writer does. See bounce(8).
 */
#include "daemons/bounce/bounce.h"

static const struct service_link links[] = {
    {"queue", &bounce_dialogue, questions_routes, questions_up, questions_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service bounce = {
    .name = "bounce",
    .links = links,
    .settings = report_settings,
    .settings_begin = report_settings_begin,
    .setting = report_setting,
    .settings_end = report_settings_end,
    .warm = questions_warm,
    .start = questions_start, /* the writer */
    .drain = questions_drain,
};

int main(int argc, char **argv)
{
	return service_run(&bounce, argc, argv);
}
