/*
 * reload: the server reads its configuration again, checks it, and serves with it or refuses it
 * whole.
 */
#include <stdio.h>

#include "commands/stagepost/findings.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"

int verb_reload(const char *config_path, int argc, char **argv)
{
	struct master_ask question = {.verb = MASTER_VERB_RELOAD};
	struct findings f = {.to = stderr};
	struct talk_end end;
	struct config *config;
	struct talk *t;
	int code;
	(void)argv;
	if (argc > 1)
		return complain(EX_USAGE, "reload takes no arguments");
	config = place_config(config_path, &code);
	if (!config)
		return complain(code, "a server that runs keeps the configuration that it has");
	code = findings_print_pairs(config, &f);
	config_free(&config);
	if (code != EX_OK)
		return complain(code, "the server keeps the configuration that it has");
	t = place_talk(config_path, &code);
	if (!t)
		return code;
	code = talk_ask(t, COMMAND_MASTER_ASK, &question, TALK_RELOAD_US, NULL, NULL, &end);
	talk_free(&t);
	if (end.text[0])
		complain(code, "%s", end.text);
	if (code == EX_OK)
		puts("the server serves with the new configuration");
	else if (code == EX_NOINPUT)
		code = EX_CONFIG;
	if (code == EX_CONFIG || code == EX_DATAERR)
		complain(code, "the server keeps the configuration that it has");
	return code;
}
