/*
 * One row a verb. A password may hold blanks, at its ends too (RFC 1939 7, PASS), so nothing is cut
 * off a text but the one blank before it.
 */
#include "common/pop3/command.h"

enum shape {
	SHAPE_NONE,
	SHAPE_TEXT,
	SHAPE_ANY_TEXT,	  /* or none */
	SHAPE_NUMBER,	  /* a message */
	SHAPE_ANY_NUMBER, /* or none */
	SHAPE_NUMBERS,	  /* a message, and lines */
};

static const struct {
	const char *name;
	enum shape shape;
} verbs[POP3_VERBS] = {
    [POP3_UNKNOWN] = {"unknown", SHAPE_ANY_TEXT}, [POP3_CAPA] = {"CAPA", SHAPE_NONE},
    [POP3_STLS] = {"STLS", SHAPE_NONE},		  [POP3_UTF8] = {"UTF8", SHAPE_NONE},
    [POP3_USER] = {"USER", SHAPE_TEXT},		  [POP3_PASS] = {"PASS", SHAPE_TEXT},
    [POP3_AUTH] = {"AUTH", SHAPE_ANY_TEXT},	  [POP3_STAT] = {"STAT", SHAPE_NONE},
    [POP3_LIST] = {"LIST", SHAPE_ANY_NUMBER},	  [POP3_UIDL] = {"UIDL", SHAPE_ANY_NUMBER},
    [POP3_RETR] = {"RETR", SHAPE_NUMBER},	  [POP3_TOP] = {"TOP", SHAPE_NUMBERS},
    [POP3_DELE] = {"DELE", SHAPE_NUMBER},	  [POP3_RSET] = {"RSET", SHAPE_NONE},
    [POP3_NOOP] = {"NOOP", SHAPE_NONE},		  [POP3_QUIT] = {"QUIT", SHAPE_NONE},
};

const char *pop3_verb_name(enum pop3_verb verb)
{
	return verbs[verb].name;
}

static enum pop3_verb find(struct slice word)
{
	for (int v = POP3_UNKNOWN + 1; v < POP3_VERBS; v++)
		if (slice_equal_fold(word, slice_str(verbs[v].name)))
			return (enum pop3_verb)v;
	return POP3_UNKNOWN;
}

static bool refuse(const char **why, const char *text)
{
	*why = text;
	return false;
}

/* A number too large for any message is the number of none. */
static bool take_number(struct slice *s, uint32_t *number)
{
	struct slice word = slice_word(s);
	uint64_t value;
	if (word.len == 0)
		return false;
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return false;
	*number = slice_number(word, UINT32_MAX, &value) ? (uint32_t)value : UINT32_MAX;
	return true;
}

static bool parse_numbers(struct pop3_command *c, enum shape shape, struct slice rest,
			  const char **why)
{
	rest = slice_trim(rest);
	if (rest.len == 0 && shape == SHAPE_ANY_NUMBER)
		return true;
	c->numbered = take_number(&rest, &c->number);
	if (!c->numbered)
		return refuse(why, "which message?");
	if (shape == SHAPE_NUMBERS && !take_number(&rest, &c->lines))
		return refuse(why, "how many lines?");
	return slice_trim(rest).len == 0 || refuse(why, "too many arguments");
}

bool pop3_command_parse(struct slice line, struct pop3_command *c, const char **why)
{
	struct slice word, rest;
	bool blank = slice_split(line, ' ', &word, &rest);
	*c = (struct pop3_command){.verb = find(word)};
	if (slice_find(line, '\0') < line.len)
		return refuse(why, "a NUL is no text");
	switch (verbs[c->verb].shape) {
	case SHAPE_NONE:
		return slice_trim(rest).len == 0 || refuse(why, "no argument is expected");
	case SHAPE_TEXT:
		c->text = rest;
		return (blank && rest.len > 0) || refuse(why, "an argument is missing");
	case SHAPE_ANY_TEXT:
		c->text = slice_trim(rest);
		return true;
	case SHAPE_NUMBER:
	case SHAPE_ANY_NUMBER:
	case SHAPE_NUMBERS:
		break;
	}
	return parse_numbers(c, verbs[c->verb].shape, rest, why);
}
