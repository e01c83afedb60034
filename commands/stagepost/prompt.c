/*
 * readpassphrase(3) restores the terminal's echo whatever signal comes. Standard input is read
 * octet by octet: nothing of a second line is taken, and no buffer of stdio keeps a copy.
 */
#include "commands/stagepost/prompt.h"

#include <bsd/readpassphrase.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/stagepost/words.h"

void prompt_wipe(struct prompt *p)
{
	explicit_bzero(p, sizeof(*p));
}

static int refuse(struct prompt *p, int code, const char *why)
{
	prompt_wipe(p);
	return complain(code, "%s", why);
}

static int judge(struct prompt *p, size_t len)
{
	if (len == 0)
		return refuse(p, EX_DATAERR, "the password is empty");
	if (len > PASSWORD_MAX)
		return refuse(p, EX_DATAERR, "the password is longer than 1024 octets");
	p->password = slice_make(p->text, len);
	return EX_OK;
}

static int read_line(struct prompt *p)
{
	size_t len = 0;
	ssize_t got = 0;
	while (len < sizeof(p->text) && (got = read(STDIN_FILENO, p->text + len, 1)) > 0 &&
	       p->text[len] != '\n')
		len++;
	if (got < 0)
		return refuse(p, EX_TEMPFAIL, strerror(errno));
	return judge(p, len);
}

static int read_terminal(struct prompt *p, const char *question)
{
	if (readpassphrase(question, p->text, sizeof(p->text), RPP_REQUIRE_TTY))
		return judge(p, strlen(p->text));
	return refuse(p, errno == ENOTTY || errno == ENXIO ? EX_USAGE : EX_TEMPFAIL,
		      errno == ENOTTY || errno == ENXIO
			  ? "there is no terminal to ask for the password; --stdin reads it from "
			    "standard input"
			  : "no password was given");
}

int prompt_password(struct prompt *p, const char *whose, bool from_input, bool twice)
{
	char question[512];
	struct prompt again;
	int code;
	*p = (struct prompt){0};
	if (from_input)
		return read_line(p);
	snprintf(question, sizeof(question), "%s of %s: ", twice ? "New password" : "Password",
		 whose);
	code = read_terminal(p, question);
	if (code != EX_OK || !twice)
		return code;
	code = read_terminal(&again, "Again: ");
	if (code == EX_OK && !slice_equal(p->password, again.password))
		code = refuse(p, EX_DATAERR, "the two are not the same; nothing was changed");
	prompt_wipe(&again);
	if (code != EX_OK)
		prompt_wipe(p);
	return code;
}
