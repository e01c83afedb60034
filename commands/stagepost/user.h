/*
 * user: what the files of `stagepost user` say to each other.
 */
#ifndef COMMANDS_STAGEPOST_USER_H
#define COMMANDS_STAGEPOST_USER_H

#include <stdbool.h>

#include "commands/stagepost/stagepost.h"

/* The command line of a verb of `user`. */
struct user_order {
	const char *config_path;
	const char *table;  /* --table, or NULL */
	const char *scheme; /* --scheme, or NULL */
	const char *name;   /* or NULL */
	bool input, json;   /* --stdin, --json */
};

typedef int user_run(const struct user_order *o);

/* verb_user.c */
user_run user_add, user_passwd, user_delete;
/* user_list.c */
user_run user_list;
/* user_ask.c: of the running server */
user_run user_test, user_block, user_unblock;

#endif
