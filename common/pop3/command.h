/*
 * command: a POP3 command line taken apart (RFC 1939 3, RFC 2449, RFC 2595, RFC 5034, RFC 6856).
 * What the verbs mean is the daemon's.
 */
#ifndef COMMON_POP3_COMMAND_H
#define COMMON_POP3_COMMAND_H

#include "common/base/slice.h"

enum pop3_verb {
	POP3_UNKNOWN,
	POP3_CAPA,
	POP3_STLS,
	POP3_UTF8,
	POP3_USER,
	POP3_PASS,
	POP3_AUTH,
	POP3_STAT,
	POP3_LIST,
	POP3_UIDL,
	POP3_RETR,
	POP3_TOP,
	POP3_DELE,
	POP3_RSET,
	POP3_NOOP,
	POP3_QUIT,
	POP3_VERBS,
};

struct pop3_command {
	enum pop3_verb verb;
	struct slice text; /* USER, PASS: the argument, with blanks in it; AUTH: all arguments */
	bool numbered;	   /* LIST, UIDL, RETR, TOP, DELE: a message is named ... */
	uint32_t number;   /* ... from 1 on */
	uint32_t lines;	   /* TOP: of the body */
};

/* line is without CRLF. False: *why it can't be carried out; the verb is set all the same. An
 * unknown verb is no failure. */
bool pop3_command_parse(struct slice line, struct pop3_command *c, const char **why);
const char *pop3_verb_name(enum pop3_verb verb); /* "RETR"; "unknown" */

#endif
