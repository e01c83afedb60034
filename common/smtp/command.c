/*
 * command: the verbs, and where a verb ends.
 */
#include "common/smtp/command.h"

static const char *const names[VERB_COUNT] = {
    [VERB_UNKNOWN] = "unknown", [VERB_HELO] = "HELO", [VERB_EHLO] = "EHLO", [VERB_MAIL] = "MAIL",
    [VERB_RCPT] = "RCPT",	[VERB_DATA] = "DATA", [VERB_BDAT] = "BDAT", [VERB_RSET] = "RSET",
    [VERB_NOOP] = "NOOP",	[VERB_VRFY] = "VRFY", [VERB_HELP] = "HELP", [VERB_QUIT] = "QUIT",
};

const char *verb_name(enum verb verb)
{
	return names[verb];
}

bool command_parse(struct slice line, struct command *c, struct refusal *why)
{
	size_t end = 0;

	*c = (struct command){.verb = VERB_UNKNOWN};
	if (slice_find(line, '\0') < line.len)
		return refuse(why, 500, "5.5.2", "Error: NUL in a command");
	while (end < line.len && line.ptr[end] != ' ' && line.ptr[end] != '\t')
		end++;
	c->word = slice_sub(line, 0, end);
	c->argument = slice_trim(slice_from(line, end));
	for (int v = VERB_UNKNOWN + 1; v < VERB_COUNT; v++) {
		if (slice_equal_fold(c->word, slice_str(names[v])))
			c->verb = (enum verb)v;
	}
	return true;
}
