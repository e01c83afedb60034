/*
 * QUIT: the client leaves (RFC 5321 4.1.1.10).
 */
#include "daemons/smtpd/smtpd.h"

void verb_quit(struct session *s, struct slice argument)
{
	if (argument.len > 0) {
		session_reply(s, 501, "5.5.4", "QUIT takes no argument");
		return;
	}
	session_reply(s, 221, "2.0.0", "%s closing the connection", smtpd_settings()->hostname);
	s->quits = true;
	session_close(s, "quit");
}
