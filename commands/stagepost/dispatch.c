/*
 * From the command line to the verb, and what `help` says.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/words.h"

static const char default_config[] = "/etc/stagepost/stagepost.conf";

static void help(const struct verb *verbs, FILE *to)
{
	char left[64];
	fprintf(to, "usage: stagepost [-c FILE] VERB\n");
	for (const struct verb *v = verbs; v->name; v++) {
		snprintf(left, sizeof(left), "%s %s", v->name, v->arguments);
		fprintf(to, "  %-26s %s\n", left, v->sentence);
	}
	fprintf(to, "FILE is %s unless given. See stagepost(8).\n", default_config);
}

static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return complain(EX_TEMPFAIL, "standard output can't be written");
}

int dispatch(const struct verb *verbs, int argc, char **argv)
{
	const char *config = default_config;
	int option;
	opterr = 0;
	while ((option = getopt(argc, argv, "+c:h")) != -1) {
		if (option == 'c') {
			config = optarg;
			continue;
		}
		help(verbs, option == 'h' ? stdout : stderr);
		return option == 'h' ? finish(EX_OK) : EX_USAGE;
	}
	if (optind == argc) {
		help(verbs, stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[optind], "help") == 0) {
		help(verbs, stdout);
		return finish(EX_OK);
	}
	for (const struct verb *v = verbs; v->name; v++) {
		int at = optind;
		if (strcmp(argv[at], v->name) != 0)
			continue;
		optind = 0; /* getopt_long begins anew in the verb */
		return finish(v->run(config, argc - at, argv + at));
	}
	return complain(EX_USAGE, "there is no verb %s; stagepost help lists them", argv[optind]);
}
