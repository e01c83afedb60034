/*
 * The options that programs have given to sendmail for forty years. What only tunes a delivery is
 * taken and ignored; what asks for something that is not there is refused, so that nobody believes
 * it was done.
 */
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"

static const char default_config[] = "/etc/stagepost/stagepost.conf";

static bool take_mode(const char *mode, struct error *e)
{
	if (strcmp(mode, "m") == 0) /* take a message from standard input: what we do */
		return true;
	if (strcmp(mode, "p") == 0)
		return error_set(e, EX_USAGE, "-bp: see `stagepost queue list`");
	if (strcmp(mode, "d") == 0)
		return error_set(e, EX_USAGE, "-bd: the server is started by `stagepost start`");
	return error_set(e, EX_USAGE, "-b%s is not offered", mode);
}

/* -oi is -i; the other old options of -o tune what is not ours to tune. */
static void take_old(struct options *o, const char *option)
{
	if (strcmp(option, "i") == 0)
		o->dot_ends = false;
}

static bool take(struct options *o, int option, struct error *e)
{
	switch (option) {
	case 'C':
		o->config_path = optarg;
		return true;
	case 'f':
	case 'r':
		o->sender = optarg;
		return true;
	case 'F':
		o->full_name = optarg;
		return true;
	case 'i':
		o->dot_ends = false;
		return true;
	case 't':
		o->from_header = true;
		return true;
	case 'o':
		take_old(o, optarg);
		return true;
	case 'b':
		return take_mode(optarg, e);
	case 'q':
		return error_set(e, EX_USAGE, "-q: see `stagepost queue retry`");
	case 'N':
	case 'R':
	case 'V':
	case 'O':
		return error_set(e, EX_USAGE, "-%c is not offered", option);
	case ':':
		return error_set(e, EX_USAGE, "-%c needs a value", optopt);
	case '?':
		return error_set(e, EX_USAGE, "-%c is no option", optopt);
	default: /* -A -B -G -L -U -X -c -d -e -h -m -n -p -v */
		return true;
	}
}

static const char *program_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path ? path : "";
}

bool options_parse(struct options *o, int argc, char **argv, struct error *e)
{
	const char *name = program_name(argv[0]);
	int option;
	*o = (struct options){.config_path = default_config, .dot_ends = true};
	if (strcmp(name, "mailq") == 0 || strcmp(name, "newaliases") == 0)
		return error_set(e, EX_USAGE, "%s is not offered: see stagepost(8)", name);
	optind = 0;
	opterr = 0;
	while ((option = getopt(argc, argv, ":A:B:C:F:GL:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:tv")) !=
	       -1)
		if (!take(o, option, e))
			return false;
	o->recipients = argv + optind;
	o->recipient_count = argc - optind;
	if (o->recipient_count == 0 && !o->from_header)
		return error_set(e, EX_USAGE, "no recipient: name one, or use -t");
	return true;
}
