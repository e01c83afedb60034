/*
 * command: a command line taken apart (RFC 5321 4.1.1). What the verbs mean is the daemon's.
 */
#ifndef COMMON_SMTP_COMMAND_H
#define COMMON_SMTP_COMMAND_H

#include "common/base/slice.h"
#include "common/smtp/reply.h"

enum verb {
	VERB_UNKNOWN,
	VERB_HELO,
	VERB_EHLO,
	VERB_STARTTLS, /* RFC 3207 */
	VERB_AUTH,     /* RFC 4954 */
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_VRFY,
	VERB_HELP,
	VERB_QUIT,
	VERB_COUNT,
};

struct command {
	enum verb verb;
	struct slice word;     /* the verb as written */
	struct slice argument; /* behind it, blanks cut at both ends; points into the line */
};

/* line is without CRLF. false with why: it holds a NUL (500). An unknown verb is no failure. */
bool command_parse(struct slice line, struct command *c, struct refusal *why);
const char *verb_name(enum verb verb); /* "MAIL"; "unknown" */

#endif
