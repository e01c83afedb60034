/*
 * command: the verbs, and where a verb ends.
 */
#include "common/smtp/command.h"

static const struct slice names[VERB_COUNT] = {
    [VERB_UNKNOWN] = {"unknown", 7},   [VERB_HELO] = {"HELO", 4}, [VERB_EHLO] = {"EHLO", 4},
    [VERB_STARTTLS] = {"STARTTLS", 8}, [VERB_AUTH] = {"AUTH", 4}, [VERB_MAIL] = {"MAIL", 4},
    [VERB_RCPT] = {"RCPT", 4},	       [VERB_DATA] = {"DATA", 4}, [VERB_BDAT] = {"BDAT", 4},
    [VERB_RSET] = {"RSET", 4},	       [VERB_NOOP] = {"NOOP", 4}, [VERB_VRFY] = {"VRFY", 4},
    [VERB_HELP] = {"HELP", 4},	       [VERB_QUIT] = {"QUIT", 4},
};

const char *verb_name(enum verb verb)
{
	return names[verb].ptr;
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
		if (slice_equal_fold(c->word, names[v]))
			c->verb = (enum verb)v;
	}
	return true;
}
