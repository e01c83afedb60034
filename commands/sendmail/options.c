/*
 * The options that programs have given to sendmail for forty years. What only tunes a delivery is
 * taken and ignored; what asks for something that is not there is refused, so that nobody believes
 * it was done.
 */
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"

const char default_config[] = "/etc/stagepost/stagepost.conf";

static const struct {
	const char *letter;
	enum mode mode;
} modes[] = {
    {"m", MODE_MESSAGE}, {"s", MODE_SMTP},   {"p", MODE_LIST},
    {"i", MODE_ALIASES}, {"v", MODE_VERIFY},
};

static bool take_mode(struct options *o, const char *letter, struct error *e)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(letter, modes[i].letter) == 0) {
			o->mode = modes[i].mode;
			return true;
		}
	}
	if (strcmp(letter, "d") == 0)
		return error_set(e, EX_USAGE, "-bd: the server is started by `stagepost start`");
	return error_set(e, EX_USAGE, "-b%s is not offered", letter);
}

/* -q: all; -qI ID, -qR SITE, -qS SITE: some. A time would make a daemon of it. */
static bool take_flush(struct options *o, const char *value, struct error *e)
{
	o->mode = MODE_FLUSH;
	if (!value)
		return true;
	o->flush_what = value[0] == 'R' ? "--to" : value[0] == 'S' ? "--from" : "";
	o->flush_value = value + 1;
	if (strchr("IRS", value[0]) && value[1])
		return true;
	return error_set(e, EX_USAGE,
			 "-q%s is not offered: -q, -qI ID, -qR SITE or -qS SITE; the server tries "
			 "again by itself",
			 value);
}

/* NOTIFY as RFC 3461 4.1 has it: never alone, or some of the others. */
static bool notify_valid(const char *value)
{
	struct slice rest = slice_str(value), word;
	bool more = !slice_equal_fold(rest, SLICE("never"));
	while (more) {
		more = slice_split(rest, ',', &word, &rest);
		if (!slice_equal_fold(word, SLICE("success")) &&
		    !slice_equal_fold(word, SLICE("failure")) &&
		    !slice_equal_fold(word, SLICE("delay")))
			return false;
	}
	return true;
}

/* Printable ASCII that needs no xtext escape (RFC 3461 4). */
static bool envid_valid(const char *value)
{
	enum { ENVID_MAX = 100 };
	for (const char *c = value; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '+' || *c == '=')
			return false;
	return value[0] && strlen(value) <= ENVID_MAX;
}

static bool take_notice(struct options *o, int option, const char *value, struct error *e)
{
	bool good = true;
	if (option == 'N') {
		o->notify = value;
		good = notify_valid(value);
	} else if (option == 'R') {
		o->ret = strcasecmp(value, "hdrs") == 0 ? "HDRS" : "FULL";
		good = strcasecmp(value, "hdrs") == 0 || strcasecmp(value, "full") == 0;
	} else {
		o->envid = value;
		good = envid_valid(value);
	}
	return good ||
	       error_set(e, EX_DATAERR, "-%c %s: RFC 3461 has no such value", option, value);
}

/* How refusals are told: m, w and e by mail, q and p by what this program says and its exit code.
 */
static void take_errors(struct options *o, const char *mode)
{
	o->mails_errors = mode[0] && strchr("mwe", mode[0]) != NULL;
}

/* -oi is -i, -oe is -e; the other old options of -o tune what is not ours to tune. */
static void take_old(struct options *o, const char *option)
{
	if (strcmp(option, "i") == 0)
		o->dot_ends = false;
	else if (option[0] == 'e')
		take_errors(o, option + 1);
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
	case 'e':
		take_errors(o, optarg);
		return true;
	case 'o':
		take_old(o, optarg);
		return true;
	case 'b':
		return take_mode(o, optarg, e);
	case 'q':
		return take_flush(o, optarg, e);
	case 'N':
	case 'R':
	case 'V':
		return take_notice(o, option, optarg, e);
	case ':':
		return error_set(e, EX_USAGE, "-%c needs a value", optopt);
	case '?':
		return error_set(e, EX_USAGE, "-%c is no option", optopt);
	default: /* -A -B -G -L -O -U -X -c -d -h -m -n -p -v */
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
	if (strcmp(name, "mailq") == 0)
		o->mode = MODE_LIST;
	else if (strcmp(name, "newaliases") == 0)
		o->mode = MODE_ALIASES;
	optind = 0;
	opterr = 0;
	while ((option = getopt(argc, argv, ":A:B:C:F:GL:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:tv")) !=
	       -1)
		if (!take(o, option, e))
			return false;
	o->recipients = argv + optind;
	o->recipient_count = argc - optind;
	if (o->recipient_count == 0 && !o->from_header &&
	    (o->mode == MODE_MESSAGE || o->mode == MODE_VERIFY))
		return error_set(e, EX_USAGE, "no recipient: name one, or use -t");
	return true;
}
