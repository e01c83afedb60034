/*
 * stagepost: the administrator's command. See stagepost(8).
 */
#include <signal.h>

#include "commands/stagepost/stagepost.h"
#include "common/os/clock.h"
#include "common/os/process.h"

static const struct verb verbs[] = {
    {"start", verb_start, "", "start the server; returns when it serves"},
    {"run", verb_run_in_foreground, "", "run the server in the foreground"},
    {"stop", verb_stop, "", "stop the server; returns when it is gone"},
    {"reload", verb_reload, "", "let the server read its configuration again"},
    {"status", verb_status, "[--json]", "what runs, and how much is in the queue"},
    {"check", verb_check, "", "check the configuration and its tables"},
    {"config", verb_config, "[KEY] [--changed]", "print the configuration, with its defaults"},
    {"route", verb_route, "[--json ...] ADDRESS", "every step that mail for an address takes"},
    {"table", verb_table, "build|get ...", "make a database of a table, or look something up"},
    {"user", verb_user, "VERB ...", "users and their passwords; `user help` says how"},
    {"queue", verb_queue, "VERB ...", "look at the queue and change it; `queue help` says how"},
    {0},
};

int main(int argc, char **argv)
{
	process_begin(argc, argv);
	signal(SIGPIPE, SIG_DFL); /* who reads no more of our output wants no more */
	clock_warm();
	return dispatch(verbs, argc, argv);
}
