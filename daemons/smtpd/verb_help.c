/*
 * HELP: what can be said here (RFC 5321 4.1.1.8).
 */
#include "daemons/smtpd/smtpd.h"

void verb_help(struct session *s, struct slice argument)
{
	(void)argument;
	session_reply(s, 214, "2.0.0",
		      "HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
}
