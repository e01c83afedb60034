/*
 * config: the configuration as the server understands it.
 */
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/words.h"

static void print(void *arg, struct slice text)
{
	words_print_lines(arg, text);
}

int verb_config(const char *config_path, int argc, char **argv)
{
	const char *key = NULL;
	bool changed = false;
	struct config *config;
	struct error e = {0};
	int code = EX_OK;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--changed") == 0)
			changed = true;
		else if (argv[i][0] == '-' || key)
			return complain(EX_USAGE, "config takes one KEY and --changed");
		else
			key = argv[i];
	}
	config = place_config(config_path, &code);
	if (!config)
		return code;
	if (!config_print(config, key, changed, print, stdout, &e))
		code = complain(e.code, "%s", e.text);
	config_free(&config);
	return code;
}
