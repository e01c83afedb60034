/*
 * prompt: asks for a password. It is never shown, logged or taken from the arguments; whoever has
 * asked wipes it.
 */
#ifndef COMMANDS_STAGEPOST_PROMPT_H
#define COMMANDS_STAGEPOST_PROMPT_H

#include <stdbool.h>

#include "common/base/slice.h"
#include "common/password/password.h"

struct prompt {
	char text[PASSWORD_MAX + 2]; /* what was said, with a NUL */
	struct slice password;	     /* in text */
};

/* From the terminal, without echo; or (from_input) one line of standard input. twice: a new one,
 * which is asked for again on a terminal. EX_OK, or complains and returns the exit code. */
int prompt_password(struct prompt *p, const char *whose, bool from_input, bool twice);
void prompt_wipe(struct prompt *p);

#endif
