/*
 * stagepost: what the files of this folder say to each other. A verb gets the path of the
 * configuration and its own arguments, argv[0] being the verb, and returns the exit code.
 */
#ifndef COMMANDS_STAGEPOST_STAGEPOST_H
#define COMMANDS_STAGEPOST_STAGEPOST_H

#include <sysexits.h>

/* Exit codes: EX_OK; EXIT_NO; EX_USAGE 64; EX_DATAERR 65 bad table; EX_UNAVAILABLE 69 not running;
 * EX_TEMPFAIL 75 try later; EX_NOPERM 77 not allowed; EX_CONFIG 78. */
enum { EXIT_NO = 1 }; /* the answer is no */

typedef int verb_run(const char *config_path, int argc, char **argv);

verb_run verb_start, verb_run_in_foreground, verb_stop, verb_reload, verb_status;
verb_run verb_check, verb_config, verb_route, verb_queue, verb_table, verb_user;

struct verb {
	const char *name;
	verb_run *run;
	const char *arguments, *sentence; /* for help */
};

/* The verb that argv names, with `-c FILE` before it, from a table that ends with name NULL. */
int dispatch(const struct verb *verbs, int argc, char **argv);

#endif
