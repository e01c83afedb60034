/*
 * check: everything that is wrong with the configuration, its tables, certificates and keys, each
 * with its place. The same findings decide a start and a reload.
 */
#include <stdio.h>
#include <sysexits.h>

#include "commands/stagepost/findings.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/words.h"

static void print_finding(void *arg, enum config_severity severity, const char *place,
			  const char *text)
{
	struct findings *f = arg;
	if (severity == CONFIG_ERROR)
		f->errors++;
	else
		f->warnings++;
	words_print(f->to, slice_str(place));
	fputs(severity == CONFIG_ERROR ? ": error: " : ": warning: ", f->to);
	words_print(f->to, slice_str(text));
	fputc('\n', f->to);
}

int findings_print_pairs(const struct config *config, struct findings *f)
{
	return config_check_pairs(config, print_finding, f);
}

int findings_print(const struct config *config, struct findings *f)
{
	int code = config_check(config, print_finding, f);
	int pairs = findings_print_pairs(config, f);
	return code != EX_OK ? code : pairs;
}

int verb_check(const char *config_path, int argc, char **argv)
{
	struct findings f = {.to = stdout};
	struct config *config;
	struct error e = {0};
	int code;
	(void)argv;
	if (argc > 1)
		return complain(EX_USAGE, "check takes no arguments");
	if (!config_load_reporting(config_path, print_finding, &f, &config, &e)) {
		if (f.errors == 0)
			return complain(EX_CONFIG, "%s", e.text);
		words_print(stdout, slice_str(config_path));
		printf(": %u error%s; the rest is checked when there are none of these\n", f.errors,
		       f.errors == 1 ? "" : "s");
		return EX_CONFIG;
	}
	code = findings_print(config, &f);
	words_print(stdout, slice_str(config_path));
	if (code == EX_OK && f.warnings == 0)
		puts(": fine");
	else
		printf(": %u error%s, %u warning%s\n", f.errors, f.errors == 1 ? "" : "s",
		       f.warnings, f.warnings == 1 ? "" : "s");
	config_free(&config);
	return code;
}
